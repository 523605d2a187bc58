"""The benchmark's picture: speed at the default shape, and how a step's cost grows."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.contestants import Shape
from lstm_lm.comparison.pictures import COLOURS, STYLE, save


def draw(report: dict[str, Any], path: Path, shape: Shape) -> None:
    """Left: tokens per second of each contestant; right: milliseconds of a step over hidden, for each batch size."""
    cells = pd.DataFrame(report["grid"])
    cells["ms"] = [step["median"] for step in cells["step_ms"]]
    sizes = cells["batch_size"].unique()
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12, 8))
        grid = figure.add_gridspec(len(sizes), 2, width_ratios=(1.25, 1))
        left, *right = figure.add_subplot(grid[:, 0]), *(figure.add_subplot(grid[i, 1]) for i in range(len(sizes)))
        _speeds(left, report["default_shape"])
        at = f"hidden {shape.hidden}, batch {shape.batch_size}, {shape.num_steps} steps"
        left.set(xlabel=f"tokens per second, training ({at})")
        for axes, size in zip(right, sizes, strict=True):
            _costs(axes, cells.query("batch_size == @size"))
            axes.set(title=f"batch {size}")
        right[-1].set(xlabel="hidden units")
        figure.legend(*right[-1].get_legend_handles_labels(), loc="outside lower right", ncols=4)
        figure.suptitle(f"The speed of training: {report['measured_on']}, fp32")
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
    """A line over hidden for each contestant, in its own style."""
    for (name, line), style in zip(cells.groupby("contestant", sort=False), ("--", "-.", ":", "-"), strict=False):
        axes.plot(line["hidden"], line["ms"], style, marker=".", color=_colour(str(name)), label=name)
    sizes = sorted(cells["hidden"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set(yscale="log", ylabel="ms per step")


def _colour(name: str) -> str:
    """Blue for what is written by hand, orange for the library, as in the pipeline's pictures."""
    return COLOURS["concise" if "nn.LSTM" in name else "scratch"]
