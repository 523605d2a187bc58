"""The picture of the passages: cells and lines of any script, nothing of them taken as markup."""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pytest

from lstm_lm.comparison import passage_picture
from lstm_lm.comparison.passage_picture import COLUMNS, LINES, Cell, cells, draw, lines

MARK = "\N{COMBINING ACUTE ACCENT}"
HEBREW = "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}"


def test_a_mark_shares_the_cell_of_its_letter_and_a_line_end_is_an_arrow() -> None:
    tokens = iter([("e", 1.0), (MARK, 2.0), ("\n", 0.5), ("x", 0.25)])
    assert cells(tokens) == [Cell(f"e{MARK}", 3.0), Cell("↵", 0.5), Cell("x", 0.25)]


def test_wide_signs_take_two_columns_and_marks_none() -> None:
    assert [Cell(text, 0).width for text in ("中文", f"e{MARK}x")] == [4, 2]


def test_lines_are_full_and_no_more_than_there_is_room_for() -> None:
    broken = lines([Cell("sea ", 0)] * 200)
    assert len(broken) == LINES
    assert all(COLUMNS - 4 < sum(cell.width for cell in line) <= COLUMNS for line in broken)


class Font(NamedTuple):
    """A font of the machine that has some signs."""

    signs: str
    path: Path = Path(matplotlib.get_data_path(), "fonts/ttf/LastResortHE-Regular.ttf")
    name: str = "Song"

    def has(self, text: str) -> bool:
        return set(text) <= set(self.signs)


@pytest.mark.parametrize(
    ("text", "installed", "note"),
    [
        (f"a{HEBREW}\n", None, ""),
        ("a中", None, "; characters that no font here has are missing"),
        ("a中", Font("中"), "; with Song"),
        ("a中文", Font("中"), "; with Song; characters that no font here has are missing"),
    ],
)
def test_a_sign_is_drawn_in_a_font_that_has_it(
    text: str, installed: Font | None, note: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(passage_picture.fonts, "best_for", lambda _: installed)
    drawn = texts_drawn(monkeypatch, text, tmp_path)
    assert f"bits and more{note}" in drawn
    assert ("中" in drawn) == (installed is not None and "中" in text)
    assert "文" not in drawn
    assert "a" in drawn


@pytest.mark.parametrize("text", ["$x_2$ <b>&amp; ", f"{HEBREW} ", "中文 ", f"e{MARK} "])
def test_any_text_becomes_the_same_picture_again(text: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    rows = [{"text": sign, "scratch": {"bits": 0.5}, "concise": {"bits": 40.0}} for sign in text * 9]
    for name in ("one.png", "two.png"):
        draw({"train": rows, "valid": rows}, "a corpus", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)] == []


def texts_drawn(monkeypatch: pytest.MonkeyPatch, text: str, folder: Path) -> dict[str, list[float]]:
    """Where each text of the picture was drawn, in columns from the left."""
    drawn: dict[str, list[float]] = {}
    real = passage_picture.Axes.text

    def record(axes: passage_picture.Axes, x: float, y: float, s: str, **how: Any) -> Any:
        drawn.setdefault(s, []).append(x)
        return real(axes, x, y, s, **how)

    monkeypatch.setattr(passage_picture.Axes, "text", record)
    rows = [{"text": sign, "scratch": {"bits": 1.0}, "concise": {"bits": 1.0}} for sign in text]
    draw({"train": rows, "valid": rows}, "a corpus", folder / "picture.png")
    return drawn


@pytest.mark.parametrize(("first", "second"), [HEBREW, "ab"])
def test_a_right_to_left_text_begins_at_the_right(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = texts_drawn(monkeypatch, first + second, tmp_path)
    assert set(drawn[first]) == ({COLUMNS - 0.5} if first in HEBREW else {0.5})
    assert set(drawn[second]) == ({COLUMNS - 1.5} if first in HEBREW else {1.5})
