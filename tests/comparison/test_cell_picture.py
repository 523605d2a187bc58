"""The picture of a cell: which unit it shows, and the values of it."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from lstm_lm.comparison.cell_picture import ROWS, draw, first_line, strongest, values
from lstm_lm.comparison.measures import LABELS
from lstm_lm.comparison.passage_picture import COLUMNS, Cell

MARK = "\N{COMBINING ACUTE ACCENT}"


def model(text: str) -> dict[str, Any]:
    """Two units along a text; the second follows it more strongly, and rises from 0 to the scale of each row."""
    rising = np.linspace(0, 127, len(text)).round().astype(np.int8)
    stored = base64.b64encode(np.stack([np.zeros_like(rising), rising]).tobytes()).decode()
    units = [{"layer": 1, "number": 3 + place, "cell state": ["vowel", r]} for place, r in enumerate((0.4, -0.9))]
    scales = {name: [1.0, 1.0 + place] for place, name in enumerate(ROWS)}
    return {"units": units, "scales": scales, "values": {"train": dict.fromkeys(ROWS, stored)}}


def test_the_unit_is_the_one_that_follows_a_feature_most_strongly() -> None:
    assert strongest(model("abc")) == 1


def test_the_values_are_the_stored_ones_times_the_scale() -> None:
    for place, name in enumerate(ROWS):
        np.testing.assert_allclose(values(model("abc"), name, 1), np.array([0, 64 / 127, 1]) * (1 + place))


def test_a_cell_has_the_last_of_its_tokens() -> None:
    line, last = first_line(["e", MARK, "\n", "word"])
    assert [cell.text for cell in line] == [f"e{MARK}", "↵", "word"]
    assert last == [1, 2, 3]
    line, last = first_line(["a"] * 200)
    assert last == list(range(COLUMNS))
    assert line == [Cell("a", 1.0)] * COLUMNS


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any, Any]]:
    """Places, row and colours of each row of bars that is drawn."""
    drawn: list[tuple[Any, Any, Any]] = []
    real = Axes.broken_barh

    def record(axes: Axes, spans: Any, row: Any, **how: Any) -> Any:
        drawn.append((spans, row, how["facecolors"]))
        return real(axes, spans, row, **how)

    monkeypatch.setattr(Axes, "broken_barh", record)
    return drawn


def drawn(text: str, path: Path) -> None:
    draw(dict.fromkeys(LABELS, model(text)), {"train": [{"text": sign} for sign in text]}, "a corpus", path)


@pytest.mark.parametrize("text", ["$x_2$ <b>&amp; ", "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} ", f"e{MARK} ", "a"])
def test_each_row_has_a_colour_for_each_cell(text: str, tmp_path: Path, bars: list[tuple[Any, Any, Any]]) -> None:
    drawn(text, tmp_path / "gates.png")
    cells, series = len(first_line(list(text))[0]), bars[: len(LABELS) * len(ROWS)]
    assert all(len(spans) == len(colours) == cells for spans, _, colours in series)
    assert len({row for _, row, _ in series}) == len(ROWS)
    assert (tmp_path / "gates.png").read_bytes().startswith(b"\x89PNG")


def test_a_closed_gate_and_a_state_of_zero_are_white(tmp_path: Path, bars: list[tuple[Any, Any, Any]]) -> None:
    drawn("ab", tmp_path / "gates.png")
    for _, _, (first, second) in bars[: len(ROWS)]:
        assert tuple(first) == pytest.approx((1, 1, 1, 1), abs=0.02)
        assert second[0] < 0.5
