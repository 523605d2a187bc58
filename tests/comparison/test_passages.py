"""The picture of the passages: cells and lines of any script, nothing of them taken as markup."""

from pathlib import Path
from typing import Any

import pytest

from lstm_lm.comparison import passages
from lstm_lm.comparison.passages import COLUMNS, LINES, Cell, cells, drawable, lines, surprisal

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


def test_what_the_fonts_have() -> None:
    assert drawable(f"a{HEBREW}↵")
    assert not drawable("a中")


@pytest.mark.parametrize("text", ["$x_2$ <b>&amp; ", f"{HEBREW} ", "中文 ", f"e{MARK} "])
def test_any_text_becomes_the_same_picture_again(text: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    rows = [{"text": sign, "scratch": {"bits": 0.5}, "concise": {"bits": 40.0}} for sign in text * 9]
    for name in ("one.png", "two.png"):
        surprisal({"train": rows, "valid": rows}, "a corpus", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)] == []


def test_a_right_to_left_text_begins_at_the_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: dict[str, list[float]] = {}
    real = passages.Axes.text

    def text(axes: passages.Axes, x: float, y: float, s: str, **how: Any) -> Any:
        drawn.setdefault(s, []).append(x)
        return real(axes, x, y, s, **how)

    monkeypatch.setattr(passages.Axes, "text", text)
    for first, second in (HEBREW, "ab"):
        rows = [{"text": sign, "scratch": {"bits": 1.0}, "concise": {"bits": 1.0}} for sign in first + second]
        surprisal({"train": rows, "valid": rows}, "a corpus", tmp_path / "picture.png")
        assert set(drawn[first]) == ({COLUMNS - 0.5} if first in HEBREW else {0.5})
        assert set(drawn[second]) == ({COLUMNS - 1.5} if first in HEBREW else {1.5})
