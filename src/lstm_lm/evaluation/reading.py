"""What a model computes while it reads a passage: the predictions before each token, the state after it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.layer import Stack, State
from lstm_lm.model.lstm_scratch import BookLayer
from lstm_lm.model.score import windows
from lstm_lm.tokens.batching import Window

GATES = ("input gate", "forget gate", "output gate", "cell candidate")
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


@torch.no_grad()
def series(model: LanguageModel, reading: Reading) -> dict[str, Tensor]:
    """Hidden state, cell state and the four gates after each of T tokens, (T, layers * hidden) each.

    The gates come from the equations, in float64: neither the fast kernels nor the library return them.
    """
    book = LanguageModel(model.architecture.model_copy(update={"kernel": "book"})).double()
    book.load_textbook(model.textbook())
    assert isinstance(book.lstm, Stack)
    hidden, cell = reading.states
    steps, X = [], _vectors(book, reading.tokens[1:])
    for layer, H, C in zip(book.lstm.layers, hidden.unbind(1), cell.unbind(1), strict=True):
        assert isinstance(layer, BookLayer)
        steps.append(layer.step(X, H[:-1], C[:-1]))
        X = H[1:]
    gates = {name: torch.cat([getattr(step, name.replace(" ", "_")) for step in steps], 1) for name in GATES}
    return {"hidden state": hidden[1:].flatten(1), "cell state": cell[1:].flatten(1), **gates}


def _vectors(book: LanguageModel, tokens: Tensor) -> Tensor:
    """The vectors of T tokens, (T, input_size); sparse where they are one-hot, as long as the vocabulary."""
    if book.embedding is not None:
        return book.embedding(tokens)
    places = torch.stack([torch.arange(len(tokens)), tokens])
    ones = torch.ones(len(tokens), dtype=torch.float64)
    return torch.sparse_coo_tensor(places, ones, (len(tokens), book.architecture.vocab_size), check_invariants=False)
