"""What a model computes while it reads a passage: the predictions before each token, the state after it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.layer import State
from lstm_lm.model.score import windows
from lstm_lm.tokens.batching import Window

GATES = {"i": "input gate", "f": "forget gate", "o": "output gate", "c": "cell candidate"}
"""The textbook's letters and their names."""


LIKELIEST = 5


class Reading(NamedTuple):
    """What a model computed along a passage of T tokens; on the CPU, float64.

    Attributes:
        chances: the probabilities of the likeliest tokens before each token of the passage, falling, (T, likeliest).
        likeliest: the ids of these tokens, int64, (T, likeliest).
        states: hidden and cell states before the passage and after each of its tokens, (T + 1, layers, hidden) each.
        tokens: the ids that were read, the one before the passage first, int64, (T + 1,).
    """

    chances: Tensor
    likeliest: Tensor
    states: State
    tokens: Tensor


@torch.no_grad()
def read(model: LanguageModel, stream: np.ndarray, passage: range, likeliest: int = LIKELIEST) -> Reading:
    """Read a stream, token ids (tokens,), from the zero state to the end of the passage.

    Of each prediction only the `likeliest` tokens are kept: all of a large vocabulary would fill the memory.

    Raises:
        ValueError: a token id is not in the model's vocabulary.
    """
    device, state = next(model.parameters()).device, model.initial_state(1)
    model.eval()
    for window in windows(model, stream[: passage.start]):
        state = model.hidden_states(window.inputs.to(device), state)[1]
    tokens = torch.from_numpy(stream[passage.start - 1 : passage.stop].astype(np.int64))
    vocab_size, best, hidden, cell = model.architecture.vocab_size, [], [], []
    Window(tokens[:-1], tokens[1:], continues=True).check(vocab_size)
    for token in tokens.to(device):
        logits, state = model(token.view(1, 1), state)
        best.append(logits[0, 0].cpu().double().log_softmax(-1).topk(min(likeliest, vocab_size)))
        hidden.append(state.hidden[:, 0])
        cell.append(state.cell[:, 0])
    logs, ids = (torch.stack(part) for part in zip(*best[:-1], strict=True))
    states = State(*(torch.stack(part).cpu().double() for part in (hidden, cell)))
    return Reading(logs.exp(), ids, states, tokens)


def series(model: LanguageModel, reading: Reading) -> dict[str, Tensor]:
    """Hidden state, cell state and the four gates after each of T tokens, (T, layers * hidden) each.

    The gates are computed from the weights and the states, since the library's LSTM does not return them.
    """
    weights = {name: weight.cpu() for name, weight in model.textbook().items()}
    hidden, cell = reading.states
    found = {"hidden state": hidden[1:].flatten(1), "cell state": cell[1:].flatten(1)}
    gates = [[_gates(weights, reading, layer, letter) for layer in range(hidden.shape[1])] for letter in GATES]
    return found | {name: torch.cat(layers, 1) for name, layers in zip(GATES.values(), gates, strict=True)}


def _gates(weights: Mapping[str, Tensor], reading: Reading, layer: int, letter: str) -> Tensor:
    """One gate of a layer after each token, (T, hidden), as `BookLayer` documents it."""
    W_x, W_h, b = (weights[f"{part}{letter}{f'_{layer}' if layer else ''}"] for part in ("W_x", "W_h", "b_"))
    tokens, hidden = reading.tokens[1:], reading.states.hidden
    if layer:
        X_W = hidden[1:, layer - 1] @ W_x.double()
    elif "W_e" in weights:
        X_W = weights["W_e"][tokens].double() @ W_x.double()
    else:  # one-hot vectors
        X_W = W_x[tokens].double()
    return (torch.tanh if letter == "c" else torch.sigmoid)(X_W + hidden[:-1, layer] @ W_h.double() + b.double())
