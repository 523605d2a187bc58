"""What the tables in README and docs have in common."""

from pathlib import Path
from typing import Any

from lstm_lm.core.json_file import read_json
from tools.markdown import escape

SPEED = ["", "tokens/s, median", "quartiles", "share of the products' speed"]
"""The header over the cells of `speed`."""


def benchmark(root: Path, name: str) -> dict[str, Any]:
    """What a benchmark of this project found: metrics/benchmark_<name>.json. Raises ValueError, OSError."""
    return read_json(root / f"metrics/benchmark_{name}.json")


def speed(name: str, result: dict[str, Any]) -> list[str]:
    """The cells of `SPEED`, without the last one where it was not measured."""
    found, share = result["tokens_per_second"], result.get("share_of_products")
    cells = [name, f"{found['median']:,.0f}", f"{found['q1']:,.0f} to {found['q3']:,.0f}"]
    return cells if share is None else [*cells, f"{share:.0%}"]


def ratios(measured: dict[str, float]) -> list[str]:
    """A line for each ratio."""
    return [f"- {escape(label)}: {ratio:.2f}" for label, ratio in measured.items()]
