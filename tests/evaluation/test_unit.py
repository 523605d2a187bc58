"""Units in the order of what they follow, and their values in bytes."""

import base64

import numpy as np
import torch

from lstm_lm.evaluation import unit
from lstm_lm.evaluation.unit import correlations, units

NUMBERS = np.asarray(np.random.default_rng(0).normal(size=(40, 6)))


def test_correlations_are_pearson_s() -> None:
    found = correlations(torch.from_numpy(NUMBERS[:, :4]), torch.from_numpy(NUMBERS[:, 4:]))
    np.testing.assert_allclose(found, np.asarray(np.corrcoef(NUMBERS.T))[:4, 4:], atol=1e-12)


def test_what_does_not_change_follows_nothing() -> None:
    found = correlations(torch.ones(5, 2, dtype=torch.float64), torch.arange(5.0, dtype=torch.float64)[:, None])
    assert found.tolist() == [[0.0], [0.0]]


def test_the_best_units_are_kept_with_all_their_series(monkeypatch) -> None:
    monkeypatch.setattr(unit, "UNITS", 1)
    feature = torch.linspace(-1, 1, 40, dtype=torch.float64)
    noise = torch.from_numpy(NUMBERS).tanh()
    hidden, cell = noise.clone(), 4 * noise
    hidden[:, 4], cell[:, 1] = -feature, 3 * feature
    whole = {"hidden state": hidden, "cell state": cell, "input gate": noise}
    series = {"train": {n: v[:30] for n, v in whole.items()}, "valid": {n: v[30:] for n, v in whole.items()}}
    features = {"noise": NUMBERS[:, 0].round().tolist(), "line": feature.tolist()}
    found = units(series, features, hidden=4)
    assert [(row["layer"], row["number"]) for row in found["units"]] == [(1, 2), (2, 1)]
    assert found["units"][0]["cell state"] == ["line", 1.0]
    assert found["units"][1]["hidden state"] == ["line", -1.0]
    assert found["tokens"] == {"train": 30, "valid": 10}
    assert found["scales"]["hidden state"] == [1.0, 1.0]
    assert found["scales"]["cell state"][0] == 3.0
    values = np.frombuffer(base64.b64decode(found["values"]["valid"]["cell state"]), np.int8).reshape(2, 10)
    scales = np.array(found["scales"]["cell state"])[:, None]
    np.testing.assert_allclose(values / 127 * scales, cell[30:, [1, 4]].T, atol=scales.max() / 250)
