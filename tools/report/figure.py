"""The report's figures: a chart or a picture, with a summary in words and its values as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lstm_lm.comparison.measures import LABELS, MEASURES, SPLITS
from lstm_lm.comparison.plots import (
    GENERALISATION,
    LEARNING_CURVES,
    SURPRISAL_BY_POSITION,
    THROUGHPUT,
    Plot,
    line_title,
)
from lstm_lm.evaluation.passage import LAST_POSITION
from tools.report import chart
from tools.report.chart import Series, Spec
from tools.report.difference import Difference
from tools.report.headline import write
from tools.report.unfinished import unfinished

_TABLE_ROWS = 11


class Figure(NamedTuple):
    """A chart or a PNG, with its text alternatives: a sentence or two, and the values as a table."""

    title: str
    chart: Spec | bytes
    summary: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def epochs(self) -> bool:
        """Whether the chart can be zoomed along its epochs."""
        return self.header[0] == "epoch"


def figures(found: Difference, root: Path) -> dict[str, Figure]:
    """All figures, under the names of their files."""
    state = unfinished(found, root)
    return {
        "learning_curves": _over_epochs(found, LEARNING_CURVES, MEASURES["train_perplexity"].form, state),
        "generalisation": _generalisation(found, (root / "plots/generalisation.png").read_bytes()),
        "throughput": _over_epochs(found, THROUGHPUT, MEASURES["tokens_per_s"].form, state),
    } | _by_position(root)


def series(found: Difference, columns: Mapping[str, str]) -> list[Series]:
    """One line for each model, column (with its split) and revision; an equal base adds none."""
    lines = []
    for at_base in (False, True):
        for model in LABELS:
            for column, split in columns.items():
                points = found.curve(model, column, at_base)
                if points and not (at_base and points == found.curve(model, column, at_base=False)):
                    lines.append(Series(model, split, at_base, points))
    return lines


def _over_epochs(found: Difference, plot: Plot, form: str, state: Sequence[str]) -> Figure:
    """Lines over epochs; the table has the first, the last of each line, and some evenly between.

    `state` says which trainings are unfinished.
    """
    lines = series(found, plot.columns)
    here = [line.points for line in lines if not line.base]
    ends = [
        f"{line.title} {write(points[min(points)], form)} → {write(points[max(points)], form)}"
        for line, points in zip(lines, here, strict=False)
    ]
    faint = " Faint: the base." if len(here) < len(lines) else ""
    summary = f"{plot.quantity.capitalize()} from the first to the last epoch: {'; '.join(ends)}.{faint}"
    summary = " ".join([*state, summary])
    scored = sorted(set.intersection(*map(set, here)) or set().union(*here))
    steps = min(_TABLE_ROWS, len(scored))
    chosen = {scored[round(i * (len(scored) - 1) / max(steps - 1, 1))] for i in range(steps)}
    rows = [
        [str(epoch), *(write(line.points.get(epoch), form) for line in lines)]
        for epoch in sorted(chosen | set(map(max, here)))
    ]
    spec = chart.lines(lines, plot)
    return Figure(plot.title, spec, summary, [plot.x, *(line.title for line in lines)], rows)


def _generalisation(found: Difference, picture: bytes) -> Figure:
    """The pipeline's picture of the perplexity on each split; the table has the base as well."""
    unigram = found.metric("metrics/tokenize.json", "unigram_perplexity").new
    summary = (
        f"Perplexity on the text trained on and on text never seen; token frequencies alone reach {unigram:,.2f}. "
        "A model that is good at train only has learnt its text by heart."
    )
    changes = {
        split: [found.metric("metrics/evaluate.json", f"{model}.{split}.perplexity") for model in LABELS]
        for split in SPLITS
    }
    rows = [
        [name, *(write(change[side], ",.4f") for side in (1, 0) for change in changes[split])]
        for split, name in SPLITS.items()
        if split not in found.few
    ]
    header = [GENERALISATION.x, *(f"{label}{base}" for base in ("", " (base)") for label in LABELS.values())]
    return Figure(GENERALISATION.title, picture, summary, header, rows)


def _by_position(root: Path) -> dict[str, Figure]:
    """Mean surprisal by position in the word or line; empty where a text has no such positions."""
    tables = {split: _positions(root, split) for split in ("train", "valid")}
    places = list(dict.fromkeys(place for table in tables.values() for place in table.index))
    if not places:
        return {}
    lines = {line_title(model, SPLITS[split]): (model, split) for split in tables for model in LABELS}
    bars = [
        {"place": place, "value": value, "line": line, "model": LABELS[model], "split": SPLITS[split]}
        for line, (model, split) in lines.items()
        for place, value in tables[split][model].items()
    ]
    rows = [
        [place, *(write(tables[split][model].get(place), ".3f") for model, split in lines.values())] for place in places
    ]
    summary = (
        "Mean surprisal of letters by their position in the word, or of words by that in the line; 0 is what stands "
        "between words or ends a line. The bits go where a model cannot tell what comes next. Faint: train."
    )
    plot = SURPRISAL_BY_POSITION
    spec = chart.bars(bars, places, plot)
    return {"surprisal_by_position": Figure(plot.title, spec, summary, [plot.x, *lines], rows)}


def _positions(root: Path, split: str) -> pd.DataFrame:
    """A split's table of mean surprisal, with a plus at the last position; empty where the file is missing."""
    path = root / f"plots/surprisal_by_position_{split}.tsv"
    table = pd.read_csv(path, sep="\t", index_col="position") if path.exists() else pd.DataFrame(columns=list(LABELS))
    return table.rename(index=lambda position: f"{position}+" if position == LAST_POSITION else str(position))
