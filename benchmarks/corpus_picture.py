"""The picture of `make bench-corpus`: speed and memory of the stages over the size of the text."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from lstm_lm.comparison.pictures import COLOURS, STYLE, save

LINES = {
    "fetch": ("fetch", "#555555", ":"),
    "char, letters": ("characters, letters", COLOURS["scratch"], "-"),
    "char, none": ("characters, whole text", COLOURS["scratch"], "--"),
    "word, letters": ("words, letters", COLOURS["concise"], "-"),
    "word, none": ("words, whole text", COLOURS["concise"], "--"),
}
"""What is measured -> how it is called, its colour and the style of its line."""


def draw(report: dict[str, Any], path: Path) -> None:
    """Left: megabytes per second; right: peak memory; both over the size of the text."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
        _lines(left, report, "mb_per_second")
        left.set(yscale="log", ylabel="MB of text per second")
        left.yaxis.set_major_formatter("{x:g}")
        _lines(right, report, "peak_memory_mib")
        right.set(ylabel="peak memory of all processes, MiB")
        right.set_ylim(bottom=0)
        right.legend()
        figure.suptitle(f"Reading large texts: {report['measured_on']}")
        save(figure, path)


def _lines(axes: Axes, report: dict[str, Any], measure: str) -> None:
    sizes = [size["megabytes"] for size in report["sizes"]]
    for key, (label, colour, style) in LINES.items():
        values = [size["stages"][key][measure] for size in report["sizes"]]
        axes.plot(sizes, values, style, marker=".", color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
    axes.set_xlabel("size of the text, MB")
