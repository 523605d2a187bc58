"""What the tables in README and docs have in common."""

from typing import Any

from tabulate import tabulate

SPEED = ["", "tokens/s, median", "quartiles", "share of the products' speed"]
"""The header over the cells of `speed`."""


def speed(name: str, result: dict[str, Any]) -> list[str]:
    """The cells of `SPEED`, without the last one where it was not measured."""
    found = result["tokens_per_second"]
    quartiles = f"{found['q1']:,.0f} to {found['q3']:,.0f}"
    share = [f"{result['share_of_products']:.0%}"] if "share_of_products" in result else []
    return [name, f"{found['median']:,.0f}", quartiles, *share]


def ratios(measured: dict[str, float]) -> list[str]:
    """A line for each ratio."""
    return [f"- {label}: {ratio:.2f}" for label, ratio in measured.items()]


def markdown(header: list[str], rows: list[list[str]], words: int = 1) -> str:
    """A table of Markdown: so many columns of words, then numbers, to the right."""
    columns = ("left",) * words + ("right",) * (len(header) - words)
    return tabulate(rows, header, tablefmt="pipe", colalign=columns, disable_numparse=True)
