"""Elementary functions whose bits are the same on every machine."""

import hashlib
import math

import numpy as np
import pytest

from lstm_lm.core import elementary

GENERATOR = np.random.Generator(np.random.PCG64(0))  # its bits are the same everywhere
UNIFORM = GENERATOR.integers(0, 2**24, 20_000) / 2**24
WIDE = GENERATOR.uniform(-700, 700, 20_000)


def units_apart(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance in units of the last place."""
    return float(np.max(np.abs(actual - expected) / np.spacing(np.abs(expected))))


def test_they_are_right_to_the_last_bits() -> None:
    positive = np.concatenate([np.exp(WIDE), 1 + UNIFORM / 1000, 1 - UNIFORM / 1000])
    assert units_apart(elementary.log(positive), np.log(positive)) <= 3
    assert units_apart(elementary.exp(WIDE), np.exp(WIDE)) <= 2
    for actual, expected in zip(elementary.turn(UNIFORM), (np.cos, np.sin), strict=True):
        np.testing.assert_allclose(actual, expected(2 * math.pi * UNIFORM), rtol=0, atol=1e-15)


def test_exact_values_are_exact() -> None:
    assert elementary.log(np.array([1.0, 2.0]))[0] == 0
    assert elementary.exp(np.array([0.0, -np.inf, np.inf, 1000.0, -1000.0])).tolist() == [1, 0, np.inf, np.inf, 0]
    assert np.isnan(elementary.exp(np.array([np.nan])))
    cosine, sine = elementary.turn(np.array([0, 0.25, 0.5, 0.75, 1]))
    assert cosine.tolist() == [1, 0, -1, 0, 1]
    assert sine.tolist() == [0, 1, 0, -1, 0]


def test_a_softmax_adds_up_to_one_and_bears_large_numbers() -> None:
    found = elementary.softmax(np.array([1000.0, 1001.0, -1000.0]))
    assert math.fsum(found) == pytest.approx(1, abs=1e-15)
    assert found[1] / found[0] == pytest.approx(math.e, rel=1e-14)


def test_their_bits_are_the_same_on_every_machine() -> None:
    values = [elementary.log(1 - UNIFORM), elementary.exp(WIDE), *elementary.turn(UNIFORM)]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(value).tobytes() for value in values)).hexdigest()
    assert digest == "7ece582a68dd97e77ed09d8ab92ac3d1780bdd071d094607b5ec7108ecac0a93"
