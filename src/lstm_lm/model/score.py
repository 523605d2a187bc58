"""Scores of a model on a stream of tokens: summed nats over counted tokens, divided once."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.tokens.batching import whole_stream

CHUNK = 1000
"""Time steps evaluated at once, (CHUNK, 1, vocab_size) logits; the state is carried, so it changes no score."""


class Score(NamedTuple):
    """`nats`: summed cross-entropy of `tokens` predicted tokens, in nats."""

    nats: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(nats per token); infinite where that overflows."""
        try:
            return math.exp(self.nats / self.tokens)
        except OverflowError:
            return math.inf

    @property
    def bits_per_token(self) -> float:
        """Cross-entropy in bits per token."""
        return self.nats / self.tokens / math.log(2)


@torch.no_grad()
def score(model: LanguageModel, stream: Tensor) -> Score:
    """Score every token of `stream` but its first, which nothing precedes, the state carried from end to end.

    Args:
        stream: token ids, int64, (tokens,), on the model's device.
    """
    state = model.initial_state(1)
    nats = []
    for window in whole_stream(stream, CHUNK):
        logits, state = model(window.inputs, state)
        nats.append(nn.functional.cross_entropy(logits[:, 0].float(), window.targets[:, 0], reduction="sum"))
    return Score(float(torch.stack(nats).cpu().double().sum()), len(stream) - 1)


def scores(model: LanguageModel, streams: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Perplexity and bits per token of `model` on each of the named streams."""
    results = {name: score(model, stream) for name, stream in streams.items()}
    return {
        name: {"perplexity": result.perplexity, "bits_per_token": result.bits_per_token}
        for name, result in results.items()
    }
