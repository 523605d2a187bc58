"""The picture of one cell: its gates and its state along the first line of a passage."""

import base64
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap

from lstm_lm.comparison import fonts
from lstm_lm.comparison.measures import LABELS
from lstm_lm.comparison.passage_picture import COLUMNS, Cell, cells, left_edges, lines, write
from lstm_lm.comparison.pictures import STYLE, save
from lstm_lm.comparison.plots import CELL

_GATES = LinearSegmentedColormap.from_list("gates", ["#ffffff", "#6a3fc0"])
_SIGNED = LinearSegmentedColormap.from_list("signed", ["#e8710a", "#ffffff", "#6a3fc0"])
ROWS: dict[str, Colormap] = {
    "input gate": _GATES,
    "forget gate": _GATES,
    "output gate": _GATES,
    "cell candidate": _SIGNED,
    "cell state": _SIGNED,
    "hidden state": _SIGNED,
}
"""The rows under the text, with their colours: gates lie between 0 and 1; the others have a sign."""
_SCALE = ((_GATES, "gates: from 0, closed, to 1, open"), (_SIGNED, "the others: from -1 or less to 1 or more"))
_SHOWN = "train"


def draw(units: Mapping[str, Any], passages: Mapping[str, Any], corpus: str, path: Path) -> None:
    """Draw, for each model, the unit whose cell state follows a feature of the text most strongly.

    Args:
        units: data/units.json.
        passages: metrics/passages.json.
    """
    line, last = first_line([row["text"] for row in passages[_SHOWN]])
    foreign = "".join(cell.text for cell in line if not fonts.own_have(cell.text))
    other, (lefts,) = fonts.best_for(foreign), left_edges([line])
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(len(LABELS) + 1, figsize=(10, 5.2), height_ratios=[*[7] * len(LABELS), 1])
        for axis, (kind, label) in zip(axes, LABELS.items(), strict=False):
            number = strongest(units[kind])
            _cell(axis, line, {name: values(units[kind], name, number)[last] for name in ROWS})
            write(axis, -1, line, lefts, other)
            axis.set_title(f"{label}, {_described(units[kind]['units'][number])}", fontsize=10, loc="left")
        _scale(axes[-1])
        figure.suptitle(f"{CELL.title}, corpus: {corpus}")
        save(figure, path)


def first_line(tokens: Sequence[str]) -> tuple[list[Cell], list[int]]:
    """The cells of the first line, and for each the number of its last token."""
    line = lines(cells((token, 1.0) for token in tokens))[0]
    return line, [int(end) - 1 for end in accumulate(cell.bits for cell in line)]


def strongest(model: Mapping[str, Any]) -> int:
    """The place, in data/units.json, of the unit whose cell state follows a feature most strongly."""
    return max(range(len(model["units"])), key=lambda number: abs(model["units"][number]["cell state"][1]))


def values(model: Mapping[str, Any], name: str, number: int) -> np.ndarray:
    """What a unit, by its place, has of a row along the passage, (tokens,)."""
    stored = np.frombuffer(base64.b64decode(model["values"][_SHOWN][name]), np.int8)
    return stored.reshape(len(model["units"]), -1)[number] / 127 * model["scales"][name][number]


def _described(unit: Mapping[str, Any]) -> str:
    feature, r = unit["cell state"]
    return f"unit {unit['number']} of layer {unit['layer']}: its cell state follows \u201c{feature}\u201d, r = {r:.2f}"


def _cell(axes: Axes, line: Sequence[Cell], rows: Mapping[str, np.ndarray]) -> None:
    """A row of coloured cells for each series, below the text."""
    (lefts,), widths = left_edges([line]), [cell.width for cell in line]
    for row, (name, colours) in enumerate(ROWS.items()):
        shares = rows[name] if colours is _GATES else (rows[name] + 1) / 2
        spans = list(zip(lefts, widths, strict=True))
        axes.broken_barh(spans, (row - 0.45, 0.9), facecolors=colours(np.clip(shares, 0, 1)))
    axes.set(xlim=(0, COLUMNS), ylim=(len(ROWS) - 0.5, -1.6))
    axes.set_yticks(range(len(ROWS)), list(ROWS), fontsize=10)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _scale(axes: Axes) -> None:
    for left, (colours, meaning) in zip((0, COLUMNS / 2), _SCALE, strict=True):
        steps = np.linspace(0, 1, 9)
        axes.broken_barh([(left + step, 1) for step in range(len(steps))], (-0.3, 0.6), facecolors=colours(steps))
        axes.text(left + len(steps) + 0.6, 0, meaning, va="center", fontsize=9)
    axes.set(xlim=(0, COLUMNS), ylim=(-0.5, 0.5))
    axes.set_axis_off()
