"""What a model computes while it reads a passage: the predictions before each token, the state after it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.layer import State
from lstm_lm.model.score import CHUNK
from lstm_lm.tokens.batching import whole_stream

GATES = {"i": "input gate", "f": "forget gate", "o": "output gate", "c": "cell candidate"}
"""The textbook's letters and their names."""


class Reading(NamedTuple):
    """What a model computed along a passage of T tokens; on the CPU, float64.

    Attributes:
        predicted: ln p of every token of the vocabulary, before each token of the passage, (T, vocab_size).
        states: hidden and cell states before the passage and after each of its tokens, (T + 1, layers, hidden) each.
        tokens: the ids that were read, the one before the passage first, int64, (T + 1,).
    """

    predicted: Tensor
    states: State
    tokens: Tensor


@torch.no_grad()
def read(model: LanguageModel, stream: np.ndarray, passage: range) -> Reading:
    """Read a stream, token ids (tokens,), from the zero state to the end of the passage."""
    device, state = next(model.parameters()).device, model.initial_state(1)
    model.eval()
    for window in whole_stream(stream[: passage.start], CHUNK):
        state = model(window.inputs.to(device), state)[1]
    tokens = torch.from_numpy(stream[passage.start - 1 : passage.stop].astype(np.int64))
    logits, hidden, cell = [], [], []
    for token in tokens.to(device):
        output, state = model(token.view(1, 1), state)
        logits.append(output[0, 0])
        hidden.append(state.hidden[:, 0])
        cell.append(state.cell[:, 0])
    states = State(*(torch.stack(part).double().cpu() for part in (hidden, cell)))
    return Reading(torch.stack(logits[:-1]).double().cpu().log_softmax(-1), states, tokens)


def series(model: LanguageModel, reading: Reading) -> dict[str, Tensor]:
    """Hidden state, cell state and the four gates after each of T tokens, (T, layers * hidden) each.

    The gates are computed from the weights and the states, since the library's LSTM does not return them.
    """
    weights = {name: weight.double().cpu() for name, weight in model.textbook().items()}
    hidden, cell = reading.states
    found = {"hidden state": hidden[1:].flatten(1), "cell state": cell[1:].flatten(1)}
    gates = [[_gates(weights, reading, layer, letter) for layer in range(hidden.shape[1])] for letter in GATES]
    return found | {name: torch.cat(layers, 1) for name, layers in zip(GATES.values(), gates, strict=True)}


def _gates(weights: Mapping[str, Tensor], reading: Reading, layer: int, letter: str) -> Tensor:
    """One gate of a layer after each token, (T, hidden), as `BookLayer` documents it."""
    W_x, W_h, b = (weights[f"{part}{letter}{f'_{layer}' if layer else ''}"] for part in ("W_x", "W_h", "b_"))
    tokens, hidden = reading.tokens[1:], reading.states.hidden
    if layer:
        X_W = hidden[1:, layer - 1] @ W_x
    elif "W_e" in weights:
        X_W = weights["W_e"][tokens] @ W_x
    else:  # one-hot vectors
        X_W = W_x[tokens]
    return (torch.tanh if letter == "c" else torch.sigmoid)(X_W + hidden[:-1, layer] @ W_h + b)
