"""What the pictures show."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lstm_lm.comparison import pictures
from lstm_lm.comparison.measures import FEW_TOKENS, LABELS, SPLITS, beside_the_book
from lstm_lm.core.atomic import write_json
from lstm_lm.core.json_file import read_json
from reported import write_results


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn, none of them written."""
    figures: list[Figure] = []
    monkeypatch.setattr(pictures, "save", lambda figure, _path: figures.append(figure))
    return figures


@pytest.mark.parametrize(
    ("corpus", "level", "bars"), [("time_machine", "char", 4), ("time_machine", "word", 2), ("ptb", "char", 2)]
)
def test_the_book_s_speed_stands_beside_runs_on_the_book_s_characters_only(
    corpus: str, level: str, bars: int, saved: list[Figure], tmp_path: Path
) -> None:
    write_results(tmp_path, scale=1.0)
    for name, key, value in (("tokenize", "corpus", corpus), ("passages", "level", level)):
        path = tmp_path / f"metrics/{name}.json"
        write_json(path, read_json(path) | {key: value})
    speed = {"tokens_per_second": 20, "tokens_per_second_q1": 10, "tokens_per_second_q3": 30, "device": "any"}
    pictures.throughput(dict.fromkeys(LABELS, speed), corpus, beside_the_book(tmp_path), tmp_path / "throughput.png")
    (figure,) = saved
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == len(figure.axes[0].patches) == bars
    assert any("the book" in label for label in labels) == (bars == 4)
    assert ("another machine's" in figure.get_suptitle()) == (bars == 4)


def test_a_score_stands_at_its_epoch_and_at_its_second(saved: list[Figure], tmp_path: Path) -> None:
    columns = {"train_perplexity": [9.0, 7, 5], "valid_perplexity": [None, 8.0, 6.0], "seconds": [10.0, 20, 30]}
    curves = dict.fromkeys(LABELS, pd.DataFrame(columns, index=[1, 2, 3]))
    pictures.learning_curves(curves, "any", tmp_path / "learning_curves.png")
    for axes, x in zip(saved[0].axes, ([1, 2, 3], [10, 20, 30]), strict=True):
        assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [x, x[1:]] * 2


def test_a_bar_has_its_median_and_its_quartiles(saved: list[Figure], tmp_path: Path) -> None:
    speed = {"tokens_per_second": 20, "tokens_per_second_q1": 17, "tokens_per_second_q3": 28, "device": "any"}
    pictures.throughput(dict.fromkeys(LABELS, speed), "any", False, tmp_path / "throughput.png")
    axes = saved[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["20", "20"]
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[17], [28]] * 2


def test_speeds_of_two_machines_are_not_called_one_s(saved: list[Figure], tmp_path: Path) -> None:
    speed = {"tokens_per_second": 20, "tokens_per_second_q1": 10, "tokens_per_second_q3": 30}
    long = "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz (family 6, model 143)"
    results = {kind: speed | {"device": f"{long}, {threads} threads"} for threads, kind in enumerate(LABELS, 8)}
    pictures.throughput(results, "any", False, tmp_path / "throughput.png")
    label = saved[0].axes[0].get_xlabel()
    assert f"here: from scratch: {long}, 8 threads torch.nn.LSTM: {long}, 9 threads" in label.replace("\n", " ")
    assert max(map(len, label.splitlines())) <= 75


def test_a_split_of_few_tokens_has_no_bar(saved: list[Figure], tmp_path: Path) -> None:
    scores = {kind: {split: {"perplexity": 2.0} for split in SPLITS} for kind in LABELS}
    for few, shown in (((), SPLITS), (("test",), ("train", "valid")), (("valid", "test"), ("train",)), (SPLITS, ())):
        tokens = {f"{split}_tokens": FEW_TOKENS - (split in few) for split in SPLITS} | {"unigram_perplexity": 9.0}
        pictures.generalisation(scores, tokens, "any", tmp_path / "generalisation.png")
        axes = saved[-1].axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == [SPLITS[split] for split in shown]
        assert len(axes.patches) == len(LABELS) * len(shown)


@pytest.mark.parametrize(
    "perplexities", [[25, 1.04], [6.6, 3.8], [700, 43], [6.3, 6.1], [1.0, 1.0]], ids=lambda ends: f"{ends[0]}-{ends[1]}"
)
def test_perplexity_s_axis_has_numbers_wherever_the_curves_lie(
    perplexities: list[float], saved: list[Figure], tmp_path: Path
) -> None:
    columns = {"train_perplexity": perplexities, "valid_perplexity": perplexities, "seconds": [1.0, 2.0]}
    curves = dict.fromkeys(LABELS, pd.DataFrame(columns, index=[1, 2]))
    pictures.learning_curves(curves, "any", tmp_path / "learning_curves.png")
    axes = saved[0].axes[0]
    lowest, highest = axes.get_ylim()
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    minor = zip(axes.get_yticks(minor=True), axes.get_yticklabels(minor=True), strict=True)
    numbers = [tick for tick, label in [*ticks, *minor] if lowest <= tick <= highest and label.get_text()]
    assert 1 <= lowest <= min(perplexities)
    assert max(perplexities) <= highest
    assert len(numbers) >= 2


def test_a_training_of_one_epoch_is_drawn_as_dots_and_rings(saved: list[Figure], tmp_path: Path) -> None:
    columns = {"train_perplexity": [6.3], "valid_perplexity": [6.1], "seconds": [20.5]}
    curves = dict.fromkeys(LABELS, pd.DataFrame(columns, index=[1]))
    pictures.learning_curves(curves, "any", tmp_path / "learning_curves.png")
    for axes in saved[0].axes:
        assert [(line.get_marker(), line.get_fillstyle()) for line in axes.lines] == [("o", "full"), ("o", "none")] * 2
