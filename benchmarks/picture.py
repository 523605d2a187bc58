"""The benchmark's picture: speed at the default shape, and how a step's cost grows."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.contestants import Shape
from lstm_lm.comparison.pictures import COLOURS, STYLE, save


def draw(report: dict[str, Any], path: Path, shape: Shape) -> None:
    """Left: tokens per second of each contestant; right: milliseconds of a step over hidden, by batch size."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=(1.25, 1))
        _speeds(left, report["default_shape"])
        sizes = f"hidden {shape.hidden}, batch {shape.batch_size}, {shape.num_steps} steps"
        left.set(xlabel=f"tokens per second, training ({sizes})")
        _costs(right, cells := pd.DataFrame(report["grid"]))
        names = list(cells["contestant"].unique())
        figure.legend(right.get_lines()[: len(names)], names, loc="outside lower right", ncols=len(names))
        figure.suptitle(f"{report['measured_on']}, fp32")
        save(figure, path)


def _speeds(axes: Axes, results: dict[str, Any]) -> None:
    """A bar for each contestant's median, with quartiles."""
    for row, (name, result) in enumerate(results.items()):
        speed = result["tokens_per_second"]
        spread = [[speed["median"] - speed["q1"]], [speed["q3"] - speed["median"]]]
        axes.barh(row, speed["median"], color=_colour(name), xerr=spread, capsize=3)
        axes.annotate(f"{speed['median']:,.0f}", (speed["q3"], row), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _costs(axes: Axes, cells: pd.DataFrame) -> None:
    """Lines over hidden for each batch size, one for each contestant, in its own style."""
    cells["ms"] = [step["median"] for step in cells["step_ms"]]
    for batch_size in cells["batch_size"].unique():
        for name, style in zip(cells["contestant"].unique(), ("--", "-.", ":", "-"), strict=False):
            line = cells[(cells["batch_size"] == batch_size) & (cells["contestant"] == name)]
            axes.plot(line["hidden"], line["ms"], style, marker=".", color=_colour(name))
        last = cells[cells["batch_size"] == batch_size].iloc[-1]
        axes.annotate(f"batch {batch_size}", (last["hidden"], last["ms"]), (5, 0), textcoords="offset points")
    sizes = sorted(cells["hidden"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.margins(x=0.15)
    axes.set(yscale="log", xlabel="hidden units", ylabel="ms per step")


def _colour(name: str) -> str:
    """Blue for what is written by hand, orange for the library, as in the pipeline's pictures."""
    return COLOURS["concise" if "nn.LSTM" in name else "scratch"]
