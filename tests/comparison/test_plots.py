"""What the pictures show."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lstm_lm.comparison import plots
from lstm_lm.comparison.measures import LABELS


@pytest.mark.parametrize(("corpus", "bars"), [("time_machine", 4), ("ptb", 2)])
def test_the_book_s_speed_stands_beside_runs_on_the_book_s_corpus_only(
    corpus: str, bars: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(plots, "save", lambda figure, _path: saved.append(figure))
    speed = {"tokens_per_second": 20, "tokens_per_second_q1": 10, "tokens_per_second_q3": 30, "device": "any"}
    plots.throughput(dict.fromkeys(LABELS, speed), corpus, tmp_path / "throughput.png")
    (figure,) = saved
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == len(figure.axes[0].patches) == bars
    assert any("the book" in label for label in labels) == (bars == 4)
    assert ("another machine's" in figure.get_suptitle()) == (bars == 4)
