"""Scores: every token but the first counts once, nats are summed and divided once."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from lstm_lm.model import lstm_concise
from lstm_lm.model import score as evaluation
from lstm_lm.model.language_model import Architecture, LanguageModel, build
from lstm_lm.model.score import Score, score, surprisal
from lstms import KINDS, randomised
from projects import params_of

VOCAB_SIZE = 11


def random_stream(tokens: int) -> np.ndarray:
    return np.random.default_rng(0).integers(VOCAB_SIZE, size=tokens, dtype=np.uint8)


def random_model(kind: str = "scratch", kernel: str = "book") -> LanguageModel:
    return randomised(build(kind, VOCAB_SIZE, params_of(hidden=8, kernel=kernel)))


def test_uniform_logits_have_the_vocabulary_s_size_as_perplexity() -> None:
    zeros = LanguageModel(Architecture(kernel="fused_pytorch", vocab_size=VOCAB_SIZE, hidden=8))
    result = score(zeros, random_stream(5000))
    assert result.tokens == 4999
    assert result.perplexity == pytest.approx(VOCAB_SIZE, rel=1e-6)
    assert result.bits_per_token == pytest.approx(math.log2(VOCAB_SIZE), rel=1e-6)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_it_is_the_cross_entropy_of_the_whole_stream_at_once(kind: str, kernel: str) -> None:
    model, stream = random_model(kind, kernel), random_stream(2 * evaluation.CHUNK + 77)
    tokens = torch.from_numpy(stream.astype(np.int64))
    logits, _ = model(tokens[:-1, None], model.initial_state(1))
    nats = nn.functional.cross_entropy(logits[:, 0].double(), tokens[1:], reduction="none")
    torch.testing.assert_close(surprisal(model, stream).double(), nats, rtol=1e-4, atol=1e-5)
    assert score(model, stream).nats == pytest.approx(nats.sum().item(), rel=1e-6)


def test_the_state_is_carried_over_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, stream = random_model(), random_stream(100)
    at_once = score(model, stream)
    monkeypatch.setattr(evaluation, "CHUNK", 7)
    assert score(model, stream).nats == pytest.approx(at_once.nats, rel=1e-6)
    assert score(model, stream).tokens == at_once.tokens


def test_no_version_of_python_rounds_the_sum_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [torch.tensor([nats], dtype=torch.float64) for nats in (2.0**53, 1.0, 1.0)]
    monkeypatch.setattr(evaluation, "_surprisals", lambda *_: iter(chunks))
    for python_s in (sum, math.fsum):  # from 3.12 on, `sum` rounds about as `fsum`
        monkeypatch.setattr(evaluation, "sum", python_s, raising=False)
        assert score(random_model(), random_stream(4)).nats == 2.0**53


def test_two_tokens_are_one_prediction() -> None:
    assert score(random_model(), random_stream(2)).tokens == 1


def test_perplexity_and_bits() -> None:
    result = Score(nats=3 * math.log(4), tokens=3)
    assert result.perplexity == pytest.approx(4)
    assert result.bits_per_token == pytest.approx(2)
    assert Score(1e6, 1).perplexity == math.inf


def test_scores_by_name() -> None:
    model, streams = random_model(), {"valid": random_stream(20), "test": random_stream(30)}
    results = evaluation.scores(model, streams)
    assert results.keys() == streams.keys()
    for name, stream in streams.items():
        expected = score(model, stream)
        assert results[name] == {"perplexity": expected.perplexity, "bits_per_token": expected.bits_per_token}


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("size", [1, 7, 60, 99, 100, 1000])
def test_each_window_is_read_from_the_zero_state(
    kind: str, kernel: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a plain loop over single windows; 99 is all there is to predict."""
    model, stream, nats = random_model(kind, kernel), random_stream(100), []
    for start in range(0, 99, size):
        tokens = torch.from_numpy(stream[start : start + size + 1].astype(np.int64))
        logits, _ = model(tokens[:-1, None], model.initial_state(1))
        nats.append(nn.functional.cross_entropy(logits[:, 0].double(), tokens[1:], reduction="sum").item())
    for together, rows in ((evaluation.TOGETHER, 10**6), (20, 3)):  # all at once, and in pieces
        monkeypatch.setattr(evaluation, "TOGETHER", together)
        monkeypatch.setattr(evaluation, "rows_at_once", lambda _, rows=rows: rows)
        found = evaluation.score_in_windows(model, stream, size)
        assert found.tokens == 99
        assert found.nats == pytest.approx(sum(nats), rel=1e-5)
    whole = score(model, stream)
    assert (found.nats == pytest.approx(whole.nats, rel=1e-6)) == (size >= 99)


@pytest.mark.parametrize(
    ("kernel", "vocab_size", "embedding", "rows"),
    [
        ("book", 65, None, [64, 64, 32, 1, 1]),
        ("library", 10_000, None, [64, 13, 3, 1, 1]),
        ("library", 10_000, 8, [64, 64, 32, 1, 1]),
        ("fused", 10_000, None, [64, 64, 32, 1, 1]),
    ],
)
def test_windows_that_are_read_at_once_are_few_and_fewer_of_large_one_hot_vectors(
    kernel: str, vocab_size: int, embedding: int | None, rows: list[int]
) -> None:
    sizes = {"kernel": kernel, "vocab_size": vocab_size, "embedding": embedding, "hidden": 8}
    architecture = Architecture.model_validate(sizes)
    assert [evaluation.rows_together(architecture, size) for size in (1, 64, 256, 8192, 10_000)] == rows


@pytest.mark.parametrize("scored", [score, lambda model, stream: evaluation.score_in_windows(model, stream, 7)])
def test_scoring_leaves_the_model_s_mode_as_it_was(scored: Callable[[LanguageModel, np.ndarray], Score]) -> None:
    model, modes = random_model(), set()
    model.output.register_forward_hook(lambda *_: modes.add(model.training))
    for training in (True, False):
        model.train(training)
        scored(model, random_stream(30))
        assert model.training == training
    assert modes == {False}


@pytest.mark.parametrize("kernel", ["book", "fused", "fused_pytorch"])
def test_the_same_weights_mean_the_same_in_the_library(kernel: str) -> None:
    settings = params_of(hidden=8, layers=2, embedding=6, dropout=0.5, init_scale=0.5, kernel=kernel)
    model, stream = build("scratch", VOCAB_SIZE, settings), random_stream(evaluation.CHUNK + 50)
    assert evaluation.max_logit_difference(model, stream) < 1e-5


def test_weights_that_mean_something_else_in_the_library_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_concise, "_GATES", "icfo")
    assert evaluation.max_logit_difference(random_model(), random_stream(50)) > 0.1


def test_a_library_that_computes_nan_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = lstm_concise.LibraryOutput.forward
    monkeypatch.setattr(lstm_concise.LibraryOutput, "forward", lambda *given: right(*given) * torch.nan)
    assert math.isnan(evaluation.max_logit_difference(random_model(), random_stream(50)))


def test_a_perplexity_that_overflows_is_named_with_its_split() -> None:
    model = random_model()
    with torch.no_grad():
        model.output.get_parameter("b_q")[1] = 1e6  # a model that is sure of one token
    good, bad = np.ones(30, np.uint8), random_stream(30)
    assert evaluation.scores(model, {"train": good})["train"]["perplexity"] == pytest.approx(1)
    message = r"^on the test split the model needs [\d,]+ bits per token, .*: train it with a lower train\.lr or"
    with pytest.raises(ValueError, match=message):
        evaluation.scores(model, {"train": good, "test": bad})
