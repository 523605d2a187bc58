"""What `make gpu` measured, in words and a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.docs.tables import SPEED, benchmark, ratios, speed
from tools.markdown import code, escape, table

_PICTURE = (
    "![Tokens per second of each way of training on a GPU, and the cost of a step over hidden units and batch size]"
    "(../plots/benchmark_gpu.png)"
)


def tables(root: Path) -> str:
    """What `make gpu` measured."""
    report = benchmark(root, "gpu")
    rows = [speed(name, result) for name, result in report["default_shape"].items()]
    speeds = [table(SPEED, rows), "", _PICTURE, ""] if rows else []
    lines = [line for name, lines in _PARTS.items() for line in _gpu_part(name, report[name], lines)]
    return "\n".join([*speeds, f"{escape(report['measured_on'])}.", "", *ratios(report["ratios"]), *lines])


def _gpu_part(name: str, result: Any, lines: Callable[[Any], list[str]]) -> list[str]:
    """What a part measured, or why it did not."""
    return [f"- {name}: {line}" for line in ([escape(result)] if isinstance(result, str) else lines(result))]


def _trainings(kinds: dict[str, Any]) -> list[str]:
    return [
        f"{code(kind)} reaches train perplexity {run['train_perplexity']:.2f} at "
        f"{run['tokens_per_second']['median']:,.0f} tokens/s; both runs give the SHA-256 {code(run['sha256'])}"
        for kind, run in kinds.items()
    ]


def _graph(result: dict[str, Any]) -> list[str]:
    return [f"{code(name)}, {ratio:.2f} times as fast" for name, ratio in result["graph_over_eager"].items()]


def _by_name(words: Callable[[Any], str]) -> Callable[[Any], list[str]]:
    """A line for each name: what was measured, or why it was not."""
    return lambda results: [
        f"{escape(name)}, {escape(result) if isinstance(result, str) else words(result)}"
        for name, result in results.items()
    ]


def _medians(speeds: dict[str, Any]) -> str:
    return ", ".join(f"{code(name)} {speed['median']:,.0f} tokens/s" for name, speed in speeds.items())


def _after_an_epoch(run: dict[str, Any]) -> str:
    return ", ".join(
        f"{code(kind)} validation perplexity {model['valid_perplexity']:.1f} after an epoch of "
        f"{model['seconds']:.0f} s at {model['tokens_per_second']:,.0f} tokens/s"
        for kind, model in run.items()
    )


def _missing(result: dict[str, Any]) -> list[str]:
    return [f"{escape(cell)}, {escape(why)}" for cell, why in result["missing"].items()]


def _flashrnn(result: dict[str, Any]) -> list[str]:
    return [
        f"hidden {row['hidden']:d}, batch {row['batch_size']:d}, {escape(row['contestant'])}, "
        f"{row['step_ms']['median']:.2f} ms"
        for row in result["rows"]
    ] + _missing(result)


_PARTS: dict[str, Callable[[Any], list[str]]] = {
    "tests": lambda line: [escape(line)],
    "trainings": _trainings,
    "graph": _graph,
    "precisions": _by_name(_medians),
    "recipes": _by_name(_after_an_epoch),
    "grid": _missing,
    "words": _by_name(_medians),
    "flashrnn": _flashrnn,
}
"""Part of metrics/benchmark_gpu.json -> what is written about it."""
