"""The experiments behind docs/exercises.md, small: they measure what the page says."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants import Shape
from benchmarks.exercises import hyperparameters, rnn, series, tanh, words
from benchmarks.exercises.rnn import CELLS, Library, Written
from benchmarks.exercises.training import Tokens
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params
from lstm_lm.model.lstm_scratch import BookLayer
from projects import PARAMS, Project
from tools.docs import exercises

SMALL = Params.model_validate(PARAMS)
SHAPE = Shape(hidden=3, batch_size=2, num_steps=4, vocab_size=5)
IN_LIBRARY = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 1, 3, 2]}
"""Where each of our gates stands in the library's weights."""


@pytest.fixture
def tokens(tokenized: Project) -> Tokens:
    return Tokens.load(tokenized.root / "data/tokens")


# A GRU of the library resets after the product with the weights, the book's before it: the same for a single unit.
@pytest.mark.parametrize(("name", "hidden"), [("RNN", 3), ("GRU", 1), ("LSTM", 3)])
def test_the_written_cells_are_those_of_the_library(name: str, hidden: int) -> None:
    shape = Shape(hidden=hidden, batch_size=2, num_steps=4, vocab_size=5)
    torch.manual_seed(0)
    library, written = Library(CELLS[name], shape), Written(CELLS[name], shape)
    weights = dict(library.layer.named_parameters())
    with torch.no_grad():
        weights["bias_hh_l0"].zero_()
        for number, place in enumerate(IN_LIBRARY[name]):
            rows = slice(place * hidden, (place + 1) * hidden)
            written.W_x[number].copy_(weights["weight_ih_l0"][rows].T)
            written.W_h[number].copy_(weights["weight_hh_l0"][rows].T)
            written.b[number].copy_(weights["bias_ih_l0"][rows])
    written.output.load_state_dict(library.output.state_dict())
    sequence = torch.randint(0, 5, (4, 2))
    ours, theirs = (model(sequence, model.initial_states(2)) for model in (written, library))
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], tuple(state[0] for state in theirs[1]))


@pytest.mark.parametrize("name", CELLS)
def test_the_counts_are_those_of_the_code(name: str) -> None:
    cell, model = CELLS[name], Written(CELLS[name], SHAPE)
    counted = cell.counts(SHAPE.hidden, SHAPE.vocab_size)
    assert counted["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    with FlopCounterMode(display=False) as flops:
        model(torch.zeros(1, 1, dtype=torch.int64), model.initial_states(1))
    selecting_a_row = cell.gates * SHAPE.vocab_size * SHAPE.hidden
    products = flops.get_total_flops() // 2 - selecting_a_row
    assert counted["multiplications"] == products + cell.products * SHAPE.hidden
    assert counted["state"] == sum(state.numel() for state in model.initial_states(1))


def test_the_costs_are_set_beside_those_of_the_rnn(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics/benchmark_rnn.json", rnn.measure(SHAPE, rounds=1))
    rows = [line for line in exercises.costs(tmp_path).splitlines() if line.startswith("| RNN")]
    assert [row.count("(1.00)") for row in rows] == [4, 4]
    assert "| LSTM | 128 (" in " ".join(exercises.costs(tmp_path).split())


def test_a_row_for_each_changed_hyperparameter(tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [{"seed": 0}, {"model.hidden": 5}]
    monkeypatch.setattr(hyperparameters, "CHANGES", changes)
    rows = hyperparameters.measure(SMALL, tokens, epochs=1)
    assert [row["changes"] for row in rows] == changes
    assert rows[0]["parameters"] != rows[1]["parameters"]
    report = {"corpus": "sample", "measured_on": "here", "epochs": 1, "trainings": rows}
    write_json(tmp_path / "metrics/benchmark_hyperparameters.json", report)
    assert exercises.hyperparameters(tmp_path).count("`model.hidden=5`") == 2


def test_words_and_characters_are_of_the_same_text(tokenized: Project, tmp_path: Path) -> None:
    counts = {"train": 300, "valid": 40, "test": 40}
    levels = words.measure(SMALL, tokenized.root / "data/raw", counts, epochs=1)
    assert levels["word"]["tokens"] == 300
    assert levels["char"]["tokens"] > 2 * 300
    assert levels["char"]["bits_per_character"] == pytest.approx(
        math.log2(levels["char"]["valid_perplexity"]), abs=1e-3
    )
    assert levels["word"]["bits_per_character"] < math.log2(levels["word"]["valid_perplexity"]) / 2
    report = {"corpus": "sample", "measured_on": "here", "levels": levels}
    write_json(tmp_path / "metrics/benchmark_words.json", report)
    assert exercises.words(tmp_path).count("| `word` ") == 2


def test_without_the_second_tanh_the_cell_state_passes_as_it_is() -> None:
    torch.manual_seed(0)
    book, linear = BookLayer(5, 3), tanh.LinearOutputLayer(5, 3)
    weights = {name: 3 * torch.randn_like(weight) for name, weight in book.textbook().items()}
    inputs, state = torch.tensor([[1, 2]]), (torch.zeros(2, 3), 3 * torch.randn(2, 3))
    for layer in (book, linear):
        layer.load_textbook(weights)
    (squashed, _, cell), (passed, _, same) = book(inputs, *state), linear(inputs, *state)
    torch.testing.assert_close(cell, same)
    torch.testing.assert_close(passed[0] * torch.tanh(cell), squashed[0] * cell)


def test_both_outputs_are_trained_from_the_same_start(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = {"train.lr": 1e6, "train.clip": 1e6}
    monkeypatch.setattr(tanh, "OPTIMIZERS", {"SGD": {}, "too far": far})
    rows = tanh.measure(SMALL, tokens, epochs=1)
    assert [row["output"] for row in rows] == ["tanh(C)", "C"] * 2
    assert rows[0]["train_perplexity"] == pytest.approx(rows[1]["train_perplexity"], rel=1e-3)
    assert rows[0]["largest_hidden"] < 1
    assert rows[3].keys() == {"optimizer", "output", "diverged"}
    assert re.fullmatch(r"the training diverged (at|in) epoch 1[^;]*", rows[3]["diverged"])
    write_json(tmp_path / "metrics/benchmark_tanh.json", {"corpus": "sample", "epochs": 1, "models": rows})
    lines = exercises.tanh(tmp_path).splitlines()
    assert "diverged" in lines[5]
    assert lines[-1].endswith(f"too far, H = O \\* C: {rows[3]['diverged']}.")
    assert "diverged" not in lines[2]


def test_linear_regression_forecasts_a_sine_without_noise_and_the_last_value_does_not() -> None:
    found = series.errors(series.SINE, series.trained(series.SINE[: series.TRAINED], hidden=2, steps=1, rows=2))
    last, linear = found["the last value"], found[f"linear regression on the last {series.LAGS} values"]
    assert linear[0] < 0.001 < last[0] < last[-1]
    assert found["the sine without its noise"] == [0.0] * len(series.HORIZONS)


def test_the_lstm_forecasts_from_its_own_forecasts() -> None:
    model = series.Forecaster(2)
    history = np.linspace(-1, 1, series.WINDOW)[None]
    first, second = series.lstm_forecasts(model, history, 2)[0]
    again = series.lstm_forecasts(model, np.append(history, [[first]], axis=1), 1)[0]
    assert second == pytest.approx(again[0], rel=1e-5)
