"""The report's figures: each a chart, what it says in words, and its values as a table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_lm.comparison.plots import LABELS
from lstm_lm.review import chart
from lstm_lm.review.chart import Series, Spec
from lstm_lm.review.difference import Difference, Row
from lstm_lm.review.headline import value, write

WINDOWS = {"train": "train", "valid": "held-out", "test": "test"}

_TABLE_ROWS = 11


class Figure(NamedTuple):
    """A chart with its text alternatives: what it says in a sentence or two, and its values as a table."""

    title: str
    spec: Spec
    summary: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    epochs: bool = False


def figures(found: Difference) -> dict[str, Figure]:
    """All of them, under the names of their files."""
    return {
        "learning_curves": _learning_curves(
            series(found.curves, {"train_perplexity": "train", "valid_perplexity": "held-out"})
        ),
        "generalisation": _generalisation(found),
        "throughput": _throughput(found, series(found.timing, {"tokens_per_second": ""})),
    }


def series(rows: Sequence[Row], columns: Mapping[str, str]) -> list[Series]:
    """The lines in DVC's rows: one for each model, column and revision; a base like the workspace adds none.

    Args:
        columns: the columns to draw and the window that each one is about.
    """
    lines: dict[tuple[str, str, bool], list[tuple[int, float]]] = {}
    for at_base in (False, True):
        for model in LABELS:
            for column, window in columns.items():
                points = [
                    (int(row["epoch"]), float(row[column]))
                    for row in rows
                    if column in row
                    and (row["rev"] != "workspace") == at_base
                    and row["filename"].endswith(f"_{model}.tsv")
                ]
                if points and not (at_base and points == lines.get((model, window, False))):
                    lines[model, window, at_base] = points
    return [Series(*key, points) for key, points in lines.items()]


def _learning_curves(lines: list[Series]) -> Figure:
    ends = [f"{line.title} {line.points[0][1]:,.2f} → {line.points[-1][1]:,.2f}" for line in lines if not line.base]
    summary = f"Perplexity from the first to the last epoch scored: {'; '.join(ends)}.{_faint(lines)}"
    return Figure("Learning curves", chart.learning_curves(lines), summary, *_by_epoch(lines, ",.2f"), epochs=True)


def _generalisation(found: Difference) -> Figure:
    scores = {
        (model, window): value(found.metrics, "evaluate", f"{model}.{key}.perplexity")
        for model in LABELS
        for key, window in WINDOWS.items()
    }
    with_base = any(change.old not in (None, change.new) for change in scores.values())
    points = [
        {"model": LABELS[model], "window": window, "base": at_base, "perplexity": change[not at_base]}
        for at_base in (False, True)[: 1 + with_base]
        for (model, window), change in scores.items()
        if change[not at_base] is not None
    ]
    unigram = value(found.metrics, "tokenize", "unigram_perplexity").new
    summary = (
        f"Perplexity on the text trained on and on text never seen; token frequencies alone reach {unigram:,.2f}. "
        "A model that is good at train only has learnt its text by heart." + " Hollow: the base." * with_base
    )
    header = ["window", *(f"{label}{base}" for base in ("", " (base)")[: 1 + with_base] for label in LABELS.values())]
    rows = [
        [window, *(write(scores[model, window][new], ",.4f") for new in (1, 0)[: 1 + with_base] for model in LABELS)]
        for window in WINDOWS.values()
    ]
    return Figure("Train against held-out", chart.generalisation(points, unigram), summary, header, rows)


def _throughput(found: Difference, lines: list[Series]) -> Figure:
    speeds = []
    for model, label in LABELS.items():
        median, low, high = (
            write(value(found.metrics, f"throughput_{model}", key).new, ",.0f")
            for key in ("tokens_per_second", "tokens_per_second_q1", "tokens_per_second_q3")
        )
        speeds.append(f"{label} {median} (middle half of the epochs: {low} to {high})")
    device = value(found.metrics, "throughput_scratch", "device").new
    summary = f"Median tokens per second on {device}: {'; '.join(speeds)}.{_faint(lines)}"
    return Figure("Training throughput", chart.throughput(lines), summary, *_by_epoch(lines, ",.0f"), epochs=True)


def _faint(lines: list[Series]) -> str:
    return " Faint: the base." if any(line.base for line in lines) else ""


def _by_epoch(lines: list[Series], form: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table with a handful of epochs: the first, the last, and evenly between."""
    values = [dict(line.points) for line in lines]
    here = [set(points) for line, points in zip(lines, values, strict=True) if not line.base]
    scored = sorted(set.intersection(*here) or set.union(*here))
    steps = min(_TABLE_ROWS, len(scored))
    chosen = sorted({scored[round(i * (len(scored) - 1) / max(steps - 1, 1))] for i in range(steps)})
    rows = [[str(epoch), *(write(line.get(epoch), form) for line in values)] for epoch in chosen]
    return ["epoch", *(line.title for line in lines)], rows
