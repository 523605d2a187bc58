"""torch.nn.LSTM behind our signature."""

import torch
from torch import nn

from lstm_lm.model import parity
from lstm_lm.model.lstm_concise import LSTMConcise
from lstms import SHAPES, build, random_state, random_tokens, textbook_weights


def test_it_is_the_library_s_layer_on_one_hot_inputs() -> None:
    shape = SHAPES[0]
    weights, tokens, state = textbook_weights(shape), random_tokens(shape), random_state(shape)
    library = nn.LSTM(shape.vocab_size, shape.hidden, dtype=torch.float64)
    library.load_state_dict(parity.textbook_to_library(weights))
    one_hot = nn.functional.one_hot(tokens, shape.vocab_size).double()
    expected, (hidden, cell) = library(one_hot, (state.hidden[None], state.cell[None]))
    outputs, final = build("library", weights)(tokens, state)
    assert torch.equal(outputs, expected)
    assert torch.equal(final.hidden, hidden[0])
    assert torch.equal(final.cell, cell[0])


def test_it_keeps_the_library_s_default_start() -> None:
    torch.manual_seed(0)
    expected = nn.LSTM(7, 4).state_dict()
    torch.manual_seed(0)
    lstm = LSTMConcise(7, 4).lstm.state_dict()
    assert lstm.keys() == expected.keys()
    assert all(torch.equal(lstm[name], weight) for name, weight in expected.items())
