"""The report's figures: each a chart or a picture, what it says in words, and its values as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lstm_lm.comparison.measures import LABELS, SPLITS
from lstm_lm.review import chart
from lstm_lm.review.chart import Series, Spec
from lstm_lm.review.difference import Difference
from lstm_lm.review.headline import write

_TABLE_ROWS = 11


class Figure(NamedTuple):
    """A chart or a finished picture, with its text alternatives: a sentence or two, and the values as a table."""

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
    """All of them, under the names of their files. Raises OSError where a picture is missing."""
    perplexity = series(found, {"train_perplexity": "train", "valid_perplexity": "validation"})
    speed = series(found, {"tokens_per_second": ""})
    return {
        "learning_curves": _over_epochs("Learning curves", "perplexity", perplexity, ",.2f"),
        "generalisation": _generalisation(found, (root / "plots/generalisation.png").read_bytes()),
        "throughput": _over_epochs("Training throughput", "tokens per second", speed, ",.0f"),
    }


def series(found: Difference, columns: Mapping[str, str]) -> list[Series]:
    """One line for each model, column and revision; a base like the workspace adds none.

    Args:
        columns: the columns to draw and the split that each one is about.
    """
    lines = []
    for at_base in (False, True):
        for model in LABELS:
            for column, split in columns.items():
                points = found.curve(model, column, at_base)
                if points and not (at_base and points == found.curve(model, column, at_base=False)):
                    lines.append(Series(model, split, at_base, points))
    return lines


def _over_epochs(title: str, quantity: str, lines: list[Series], form: str) -> Figure:
    """Lines over epochs; the table has a handful of them: the first, the last, and evenly between."""
    here = [line.points for line in lines if not line.base]
    ends = [
        f"{line.title} {write(points[min(points)], form)} → {write(points[max(points)], form)}"
        for line, points in zip(lines, here, strict=False)
    ]
    faint = " Faint: the base." if len(here) < len(lines) else ""
    summary = f"{quantity.capitalize()} from the first to the last epoch: {'; '.join(ends)}.{faint}"
    scored = sorted(set.intersection(*map(set, here)) or set().union(*here))
    steps = min(_TABLE_ROWS, len(scored))
    chosen = sorted({scored[round(i * (len(scored) - 1) / max(steps - 1, 1))] for i in range(steps)})
    rows = [[str(epoch), *(write(line.points.get(epoch), form) for line in lines)] for epoch in chosen]
    return Figure(title, chart.lines(lines, quantity), summary, ["epoch", *(line.title for line in lines)], rows)


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
    ]
    header = ["split", *(f"{label}{base}" for base in ("", " (base)") for label in LABELS.values())]
    return Figure("Perplexity on each split", picture, summary, header, rows)
