"""The picture of the passages: their text, each token shaded by its surprisal."""

import functools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import regex
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from lstm_lm.comparison.figures import BITS_PER_SHADE, SHADES, SURPRISAL, shade
from lstm_lm.comparison.measures import LABELS, SPLITS
from lstm_lm.comparison.plots import STYLE, save

COLUMNS = 78
LINES = 3
"""Of each passage; the picture is for README, the report has all of it."""
_FONTS = ["DejaVu Sans Mono", "DejaVu Sans"]  # they come with matplotlib: the same picture everywhere
_COLOURS = LinearSegmentedColormap.from_list("surprisal", ["#ffffff", "#a07ae0"], SHADES + 1)


class Cell(NamedTuple):
    """A piece of text that is drawn as one: a token, or a letter with its combining marks; `bits` are their sum."""

    text: str
    bits: float

    @property
    def width(self) -> int:
        """Columns: one for each letter with its marks, two for a wide one, such as a Chinese character."""
        letters = regex.findall(r"\X", self.text)
        return sum(2 if unicodedata.east_asian_width(letter[0]) in "WF" else 1 for letter in letters)


def surprisal(passages: Mapping[str, Any], corpus: str, path: Path) -> None:
    """The head of the train and the validation passage, from scratch above the library, in one scale.

    Args:
        passages: metrics/passages.json.
    """
    lacking, blocks = 0, [(split, kind) for split in ("train", "valid") for kind in LABELS]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(blocks) + 1, figsize=(10, 5.6), height_ratios=[*[LINES] * len(blocks), 1])
        for axis, (split, kind) in zip(axes, blocks, strict=False):
            rows = passages[split]
            mean = sum(row[kind]["bits"] for row in rows) / len(rows)
            axis.set_title(f"{SPLITS[split]}, {LABELS[kind]}: {mean:.2f} bits per token", fontsize=10, loc="left")
            text = lines(cells((row["text"], row[kind]["bits"]) for row in rows))
            _text(axis, text)
            lacking += sum(not drawable(cell.text) for line in text for cell in line)
        _scale(axes[-1], "; signs that the picture's fonts lack are left out" if lacking else "")
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
    """Cells in at most LINES lines of at most COLUMNS columns."""
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


def _text(axes: Axes, text: Sequence[Sequence[Cell]]) -> None:
    """Draw lines, those of a right-to-left script from the right; what the fonts lack is shaded without its sign."""
    strong = (unicodedata.bidirectional(sign) for line in text for cell in line for sign in cell.text)
    leftwards = next((direction for direction in strong if direction in ("L", "R", "AL")), "L") != "L"
    for row, line in enumerate(text):
        widths = [cell.width for cell in line]
        ends = accumulate(widths)
        lefts = [COLUMNS - end if leftwards else end - width for end, width in zip(ends, widths, strict=True)]
        shades = [_COLOURS(shade(cell.bits)) for cell in line]
        axes.broken_barh(list(zip(lefts, widths, strict=True)), (row - 0.45, 0.9), facecolors=shades)
        for cell, left, width in zip(line, lefts, widths, strict=True):
            if drawable(cell.text):
                sign = axes.text(left + width / 2, row, cell.text, ha="center", va="center_baseline", family=_FONTS)
                sign.set(fontsize=11, parse_math=False, in_layout=False)
    axes.set(xlim=(0, COLUMNS), ylim=(LINES - 0.5, -0.5))
    axes.set_axis_off()


@functools.cache
def drawable(text: str) -> bool:
    """Whether the fonts have all signs of a text."""
    fonts = [FT2Font(findfont(name)) for name in _FONTS]
    return all(any(font.get_char_index(ord(sign)) for font in fonts) for sign in text)


def _scale(axes: Axes, note: str) -> None:
    for step in range(SHADES + 1):
        axes.barh(0, 4, 0.9, 4 * step, color=_COLOURS(step))
        axes.text(4 * step + 2, 0, f"{step * BITS_PER_SHADE:g}", ha="center", va="center", fontsize=9)
    axes.text(4 * SHADES + 4.5, 0, f"bits and more{note}", va="center", fontsize=9)
    axes.set(xlim=(0, COLUMNS), ylim=(-0.5, 0.5))
    axes.set_axis_off()
