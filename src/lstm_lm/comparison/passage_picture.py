"""The picture of the passages: their text, each token shaded by its surprisal."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import regex
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from lstm_lm.comparison import fonts
from lstm_lm.comparison.measures import LABELS, SPLITS
from lstm_lm.comparison.pictures import STYLE, save
from lstm_lm.comparison.plots import BITS_PER_SHADE, SHADES, SURPRISAL, shade

COLUMNS = 78
LINES = 3
"""Of each passage; the report has all of it."""
_COLOURS = LinearSegmentedColormap.from_list("surprisal", ["#ffffff", "#a07ae0"], SHADES + 1)


class Cell(NamedTuple):
    """What is drawn as one: a token, or a letter with its combining marks, whose bits are added."""

    text: str
    bits: float

    @property
    def width(self) -> int:
        """Columns: one for each letter, two for a wide one, such as a Chinese character."""
        letters = regex.findall(r"\X", self.text)
        return sum(2 if unicodedata.east_asian_width(letter[0]) in "WF" else 1 for letter in letters)


def draw(passages: Mapping[str, Any], corpus: str, path: Path) -> None:
    """Draw the first lines of the train and the validation passage, shaded by the surprisal of each model.

    Characters that matplotlib's own fonts lack are drawn in an installed font. Without one they are left out, and the
    picture says so.

    Args:
        passages: metrics/passages.json.
    """
    blocks = [(split, kind) for split in ("train", "valid") for kind in LABELS]
    texts = [lines(cells((row["text"], row[kind]["bits"]) for row in passages[split])) for split, kind in blocks]
    foreign = [cell.text for text in texts for line in text for cell in line if not fonts.own_have(cell.text)]
    other = fonts.best_for("".join(foreign))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(blocks) + 1, figsize=(10, 5.6), height_ratios=[*[LINES] * len(blocks), 1])
        for axis, (split, kind), text in zip(axes, blocks, texts, strict=False):
            rows = passages[split]
            mean = sum(row[kind]["bits"] for row in rows) / len(rows)
            axis.set_title(f"{SPLITS[split]}, {LABELS[kind]}: {mean:.2f} bits per token", fontsize=10, loc="left")
            _text(axis, text, other)
        _scale(axes[-1], _note(foreign, other))
        figure.suptitle(f"{SURPRISAL.title}, corpus: {corpus}")
        save(figure, path)


def cells(tokens: Iterator[tuple[str, float]]) -> list[Cell]:
    """Tokens as cells: a combining mark joins the letter before it; a line end is an arrow."""
    joined: list[Cell] = []
    for text, bits in tokens:
        if joined and regex.fullmatch(r"\X", joined[-1].text + text) and not text.isspace():
            joined[-1] = Cell(joined[-1].text + text, joined[-1].bits + bits)
        else:
            joined.append(Cell(text.replace("\n", "↵"), bits))
    return joined


def lines(text: Sequence[Cell]) -> list[list[Cell]]:
    """The first LINES lines of at most COLUMNS columns."""
    found: list[list[Cell]] = [[]]
    columns = 0
    for cell in text:
        columns += cell.width
        if found[-1] and columns > COLUMNS:
            found.append([])
            columns = cell.width
        if len(found) > LINES:
            return found[:LINES]
        found[-1].append(cell)
    return found


def left_edges(text: Sequence[Sequence[Cell]]) -> list[list[float]]:
    """The column at which each cell of each line begins; in a right-to-left script, lines begin on the right."""
    strong = (unicodedata.bidirectional(sign) for line in text for cell in line for sign in cell.text)
    leftwards = next((direction for direction in strong if direction in ("L", "R", "AL")), "L") != "L"
    edges = []
    for line in text:
        ends = zip(line, accumulate(cell.width for cell in line), strict=True)
        edges.append([COLUMNS - end if leftwards else end - cell.width for cell, end in ends])
    return edges


def write(axes: Axes, row: float, line: Sequence[Cell], lefts: Sequence[float], other: fonts.Installed | None) -> None:
    """Write a line's cells at their places. A character without a font is left out."""
    for cell, left in zip(line, lefts, strict=True):
        if font := _font(cell.text, other):
            sign = axes.text(left + cell.width / 2, row, cell.text, ha="center", va="center_baseline", **font)
            sign.set(fontsize=11, parse_math=False, in_layout=False)


def _text(axes: Axes, text: Sequence[Sequence[Cell]], other: fonts.Installed | None) -> None:
    """Draw lines, each cell on its shade."""
    for row, (line, lefts) in enumerate(zip(text, left_edges(text), strict=True)):
        shades = [_COLOURS(shade(cell.bits)) for cell in line]
        widths = [cell.width for cell in line]
        axes.broken_barh(list(zip(lefts, widths, strict=True)), (row - 0.45, 0.9), facecolors=shades)
        write(axes, row, line, lefts, other)
    axes.set(xlim=(0, COLUMNS), ylim=(LINES - 0.5, -0.5))
    axes.set_axis_off()


def _font(text: str, other: fonts.Installed | None) -> dict[str, Any]:
    """The font of a text: matplotlib's own, else the installed one; empty where both lack a character."""
    if fonts.own_have(text):
        return {"family": fonts.OWN}
    return {"font": other.path} if other and other.has(text) else {}


def _note(foreign: Sequence[str], other: fonts.Installed | None) -> str:
    """Which installed font was used, and whether characters are missing."""
    drawn = [text for text in foreign if other and other.has(text)]
    font = f"; with {other.name}" if other and drawn else ""
    return font + ("; characters that no font here has are missing" if len(drawn) < len(foreign) else "")


def _scale(axes: Axes, note: str) -> None:
    for step in range(SHADES + 1):
        axes.barh(0, 4, 0.9, 4 * step, color=_COLOURS(step))
        axes.text(4 * step + 2, 0, f"{step * BITS_PER_SHADE:g}", ha="center", va="center", fontsize=9)
    axes.text(4 * SHADES + 4.5, 0, f"bits and more{note}", va="center", fontsize=9)
    axes.set(xlim=(0, COLUMNS), ylim=(-0.5, 0.5))
    axes.set_axis_off()
