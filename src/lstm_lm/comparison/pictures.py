"""The pipeline's pictures, in PNG: learning curves, perplexity on each split, throughput."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from lstm_lm.comparison.measures import (
    BOOK_TOKENS_PER_SECOND,
    COLOURS,
    LABELS,
    SPLITS,
    of_both,
    with_few_tokens,
)
from lstm_lm.comparison.plots import GENERALISATION, LEARNING_CURVES, THROUGHPUT, line_title
from lstm_lm.core.atomic import write_bytes

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "both",
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def learning_curves(curves: Mapping[str, pd.DataFrame], corpus: str, path: Path) -> None:
    """Train and validation perplexity over epochs, and over seconds of training.

    Args:
        curves: for each model a table indexed by epoch: the plot's columns, empty where nothing was scored, and
            seconds since the start of training.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
        for kind, curve in curves.items():
            _curve(left, kind, curve, pd.Series(curve.index, curve.index))
            _curve(right, kind, curve, curve.loc[:, "seconds"])
        left.set(xlabel=LEARNING_CURVES.x)
        left.locator_params("x", integer=True, min_n_ticks=1)
        right.set(xlabel="seconds of training, without validation")
        _scale(left, LEARNING_CURVES.y)
        left.set_ylim(bottom=max(1, left.get_ylim()[0]))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        figure.suptitle(f"{LEARNING_CURVES.title}, corpus: {corpus}")
        save(figure, path)


def _curve(axes: Axes, kind: str, curve: pd.DataFrame, x: pd.Series) -> None:
    """One model's two lines: train solid, validation dashed. A single value is a dot or a ring."""
    for (column, split), style in zip(LEARNING_CURVES.columns.items(), ("-", "--"), strict=True):
        line = curve.loc[:, column].dropna()
        axes.plot(x[line.index], line, style, color=COLOURS[kind], label=line_title(kind, split))
        if len(line) == 1:
            axes.lines[-1].set(marker="o", fillstyle="full" if style == "-" else "none")


def _scale(axes: Axes, label: str) -> None:
    """Make perplexity's axis logarithmic, with numbers between the powers of ten where there is room for them."""
    axes.set(yscale="log", ylabel=label)
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(3, 0.5)))


def generalisation(scores: Mapping[str, Any], tokens: Mapping[str, Any], corpus: str, path: Path) -> None:
    """Perplexity on each split that has enough tokens, beside what token frequencies alone reach.

    Args:
        scores: metrics/evaluate.json.
        tokens: metrics/tokenize.json.
    """
    unigram_perplexity, few = tokens["unigram_perplexity"], with_few_tokens(tokens)
    splits = {split: name for split, name in SPLITS.items() if split not in few}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 4.2))
        for index, kind in enumerate(COLOURS):
            heights = [scores[kind][split]["perplexity"] for split in splits]
            positions = [place + (index - 0.5) * 0.38 for place in range(len(splits))]
            bars = axes.bar(positions, heights, 0.36, color=COLOURS[kind], label=LABELS[kind])
            axes.bar_label(bars, [f"{height:.4g}" for height in heights], padding=2)
        axes.axhline(unigram_perplexity, color="#555555", linestyle=":", label="token frequencies alone")
        highest = max([scores[kind][split]["perplexity"] for kind in COLOURS for split in splits], default=0)
        _scale(axes, GENERALISATION.y)
        axes.set_ylim(1, 1.5 * max(highest, unigram_perplexity))
        axes.set_xticks(range(len(splits)), list(splits.values()))
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside lower center", ncols=3)
        figure.suptitle(f"{GENERALISATION.title}, corpus: {corpus}")
        save(figure, path)


def throughput(results: Mapping[str, Any], corpus: str, beside_the_book: bool, path: Path) -> None:
    """Median tokens per second with quartiles; `beside_the_book` also the book's, from another machine."""
    here = of_both({kind: str(result["device"]) for kind, result in results.items()})
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 3.2))
        labels: list[str] = []
        for kind, result in results.items():
            median, upper = result["tokens_per_second"], result["tokens_per_second_q3"]
            spread = [[median - result["tokens_per_second_q1"]], [upper - median]]
            axes.barh(len(labels), median, color=COLOURS[kind], xerr=spread, capsize=3)
            _number(axes, len(labels), median, upper)
            labels.append(f"{LABELS[kind]}, here")
            if beside_the_book:
                book = BOOK_TOKENS_PER_SECOND[kind]
                axes.barh(len(labels), book, color="white", edgecolor=COLOURS[kind], hatch="///")
                _number(axes, len(labels), book, book)
                labels.append(f"{LABELS[kind]}, the book's GPU")
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.margins(x=0.14)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="\n".join(fill(line, 75) for line in f"{THROUGHPUT.y}; here: {here}".split("; ")))
        hatched = " (hatched: another machine's, 256 units)" if beside_the_book else ""
        figure.suptitle(f"{THROUGHPUT.title}, corpus: {corpus}{hatched}")
        save(figure, path)


def _number(axes: Axes, row: int, value: float, end: float) -> None:
    """Write a bar's value behind its end."""
    axes.annotate(f"{value:,.0f}", (end, row), (6, 0), textcoords="offset points", va="center")


def save(figure: Figure, path: Path) -> None:
    """Write the PNG atomically, without a version or a date in it, and close the figure."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    write_bytes(path, content.getvalue())
