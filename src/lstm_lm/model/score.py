"""How well a model predicts a stream: the surprisal of each token, its sum, and a comparison with the library."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lstm_lm.core import elementary
from lstm_lm.model.language_model import Architecture, LanguageModel
from lstm_lm.model.loss import rows_at_once
from lstm_lm.tokens.batching import Window, separate_windows, whole_stream

CHUNK = 1000
"""The most time steps that are evaluated at once."""

ROWS, TOGETHER = 64, 8192
"""The most separate windows that are evaluated at once, and the most tokens of them, unless one window has more. Of
one-hot vectors over many types there are fewer: as many as of rows of logits."""


class Score(NamedTuple):
    """`nats`: summed cross-entropy of `tokens` predicted tokens, in nats."""

    nats: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(nats per token); infinite where that overflows."""
        return float(elementary.exp(np.asarray(self.nats / self.tokens)))

    @property
    def bits_per_token(self) -> float:
        """Cross-entropy in bits per token."""
        return self.nats / self.tokens / math.log(2)


def surprisal(model: LanguageModel, stream: np.ndarray) -> Tensor:
    """How unexpected each token is, -ln p(token | all before it), in nats.

    Args:
        stream: token ids, (tokens,), of any integer type.

    Returns:
        Nats of all tokens but the first, which nothing precedes, float64, (tokens - 1,), on the CPU.
    """
    # Filled in place: small tensors kept between large ones that are freed would leave holes in the memory.
    found, done = torch.empty(len(stream) - 1, dtype=torch.float64), 0
    for nats in _surprisals(model, stream):
        found[done : done + len(nats)] = nats
        done += len(nats)
    return found


def score(model: LanguageModel, stream: np.ndarray) -> Score:
    """The sum of the surprisals of a stream, token ids (tokens,), the state carried from end to end."""
    total = 0.0
    for nats in _surprisals(model, stream):
        total += math.fsum(nats.tolist())  # `sum` rounds in another way from Python 3.12 on
    return Score(total, len(stream) - 1)


@torch.no_grad()
def score_in_windows(model: LanguageModel, stream: np.ndarray, size: int) -> Score:
    """The sum of the surprisals of a stream, token ids (tokens,), each `size` of them read from the zero state.

    The windows follow one another without overlap, so every token but the stream's first counts once. nanoGPT's loss is
    an estimate of this from random windows.
    """
    architecture, device = model.architecture, next(model.parameters()).device
    count, nats = rows_at_once(architecture.vocab_size), 0.0
    with _evaluating(model):
        for window in separate_windows(stream, size, rows_together(architecture, size)):
            window.check(architecture.vocab_size)
            state = model.initial_state(window.inputs.shape[1])
            hidden_states, _ = model.hidden_states(window.inputs.to(device), state)
            pieces = hidden_states.flatten(0, 1).split(count), window.targets.to(device).flatten().split(count)
            for rows, targets in zip(*pieces, strict=True):
                nats += math.fsum(model.output.surprisal(model.output(rows), targets).tolist())
    return Score(nats, len(stream) - 1)


def rows_together(architecture: Architecture, size: int) -> int:
    """How many windows of `size` tokens `score_in_windows` reads at once."""
    tokens = min(TOGETHER, rows_at_once(architecture.vocab_size)) if architecture.one_hot else TOGETHER
    return max(1, min(ROWS, tokens // size))


def scores(
    model: LanguageModel, streams: Mapping[str, np.ndarray], window: int | None = None
) -> dict[str, dict[str, float]]:
    """Perplexity and bits per token of `model` on each of the named splits, the latter also in windows of `window`.

    Raises:
        ValueError: a perplexity overflows.
    """
    results = {name: score(model, stream) for name, stream in streams.items()}
    for name, result in results.items():
        if not math.isfinite(result.perplexity):
            raise ValueError(
                f"on the {name} split the model needs {result.bits_per_token:,.0f} bits per token, "
                "so its perplexity overflows: train it with a lower train.lr or train.clip"
            )
    found = {
        name: {"perplexity": result.perplexity, "bits_per_token": result.bits_per_token}
        for name, result in results.items()
    }
    if window is not None:
        for name, stream in streams.items():
            found[name]["bits_per_token_in_windows"] = score_in_windows(model, stream, window).bits_per_token
    return found


@torch.no_grad()
def max_logit_difference(scratch: LanguageModel, stream: np.ndarray) -> float:
    """The largest absolute difference of a logit when the weights from scratch are loaded into torch.nn.LSTM.

    Both read the whole stream from the zero state; only rounding may set them apart.

    Args:
        scratch: the trained model.
        stream: token ids, (tokens,).
    """
    device = next(scratch.parameters()).device
    library = LanguageModel(scratch.architecture.model_copy(update={"kernel": "library"}))
    library.load_textbook(scratch.textbook())
    models = [scratch.eval(), library.to(device).eval()]
    states, largest = [model.initial_state(1) for model in models], torch.zeros((), device=device)
    for window in windows(scratch, stream):
        results = [model(window.inputs.to(device), state) for model, state in zip(models, states, strict=True)]
        (ours, theirs), states = zip(*results, strict=True)
        largest = torch.maximum(largest, (ours - theirs).abs().max())  # which keeps NaN, as `max` does not
    return float(largest)


def windows(model: LanguageModel, stream: np.ndarray) -> Iterator[Window]:
    """A stream, token ids (tokens,), in windows that fit into the memory; the state is carried from one to the next.

    Raises:
        ValueError: a token id is not in the model's vocabulary.
    """
    vocab_size = model.architecture.vocab_size
    for window in whole_stream(stream, min(CHUNK, rows_at_once(vocab_size))):
        window.check(vocab_size)
        yield window


@torch.no_grad()
def _surprisals(model: LanguageModel, stream: np.ndarray) -> Iterator[Tensor]:
    """Surprisal of a stream, a chunk of tokens at a time, float64, on the CPU."""
    device, state = next(model.parameters()).device, model.initial_state(1)
    with _evaluating(model):
        for window in windows(model, stream):
            inputs, targets = window.inputs.to(device), window.targets.to(device)
            logits, state = model(inputs, state)
            yield model.output.surprisal(logits[:, 0], targets[:, 0]).cpu()


@contextmanager
def _evaluating(model: LanguageModel) -> Iterator[None]:
    """Without dropout; afterwards the model's mode is what it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
