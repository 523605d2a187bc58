"""What is read along a passage is what the model computes, whatever its kernel and parts."""

import numpy as np
import pytest
import torch

from lstm_lm.evaluation.reading import read, series
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.score import surprisal
from lstms import randomised
from projects import params_of

VOCAB_SIZE = 11
STREAM = np.random.default_rng(0).integers(VOCAB_SIZE, size=60, dtype=np.uint8)
KINDS = [("scratch", "book"), ("scratch", "fused"), ("concise", "fused")]
PARTS = [{}, {"layers": 2, "embedding": 8, "tied": True, "dropout": 0.5}]


def random_model(kind: str, kernel: str, **parts: object) -> LanguageModel:
    return randomised(build(kind, VOCAB_SIZE, params_of(hidden=8, kernel=kernel, **parts)), std=0.7)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("parts", PARTS, ids=["one layer", "two tied layers"])
def test_the_gates_lead_from_each_state_to_the_next(kind: str, kernel: str, parts: dict[str, object]) -> None:
    model = random_model(kind, kernel, **parts)
    reading = read(model, STREAM, range(20, 50))
    found = series(model, reading)
    before = reading.states.cell[:-1].flatten(1)
    cell = found["forget gate"] * before + found["input gate"] * found["cell candidate"]
    torch.testing.assert_close(found["cell state"], cell, rtol=1e-4, atol=1e-5)
    hidden = found["output gate"] * torch.tanh(found["cell state"])
    torch.testing.assert_close(found["hidden state"], hidden, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("passage", [range(1, 60), range(20, 50)], ids=["from the start", "warmed up"])
def test_the_predictions_are_those_that_are_scored(kind: str, kernel: str, passage: range) -> None:
    model = random_model(kind, kernel)
    reading = read(model, STREAM, passage, likeliest=VOCAB_SIZE)
    assert reading.chances.sum(1).allclose(torch.ones(len(passage), dtype=torch.float64))
    tokens = torch.from_numpy(STREAM[passage.start : passage.stop].astype(np.int64))
    nats = -reading.chances[reading.likeliest == tokens[:, None]].log()
    expected = surprisal(model, STREAM)[passage.start - 1 : passage.stop - 1]
    torch.testing.assert_close(nats, expected.double(), rtol=1e-4, atol=1e-5)


def test_only_the_likeliest_tokens_are_kept() -> None:
    model = random_model("scratch", "fused")
    whole, part = (read(model, STREAM, range(20, 50), likeliest) for likeliest in (VOCAB_SIZE, 5))
    for kept, of in ((part.chances, whole.chances), (part.likeliest, whole.likeliest)):
        assert torch.equal(kept, of[:, :5])
        assert kept.untyped_storage().nbytes() == 30 * 5 * 8, "no view of all predictions"


@pytest.mark.parametrize("place", [0, 10, 19, 49], ids=["before", "long before", "just before", "in the passage"])
def test_a_token_outside_of_the_vocabulary_is_refused(place: int) -> None:
    stream = STREAM.copy()
    stream[place] = VOCAB_SIZE
    with pytest.raises(ValueError, match=f"^the stream has the token id {VOCAB_SIZE}, the vocabulary {VOCAB_SIZE} "):
        read(random_model("scratch", "book"), stream, range(20, 50))


def test_the_gates_of_a_large_vocabulary_need_no_table_of_one_hot_vectors() -> None:
    types, steps = 50_000, 40
    model = build("scratch", types, params_of(hidden=2, kernel="book"))
    reading = read(model, np.arange(steps + 1), range(1, steps + 1))
    with torch.profiler.profile(profile_memory=True) as profile:
        series(model, reading)
    largest = max(event.cpu_memory_usage for event in profile.events() or [])
    assert types * 2 * 8 <= largest < types * steps * 8, "at least the weights in float64"
