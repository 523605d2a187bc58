"""torch.nn.LSTM behind our signature."""

import torch
from torch import nn

from lstm_lm.model.lstm_concise import LibraryLSTM, LibraryOutput
from lstms import SHAPES, build, random_state, random_tokens, textbook_weights


def test_it_is_the_library_s_layer_on_one_hot_inputs() -> None:
    shape = SHAPES[0]
    tokens, state = random_tokens(shape), random_state(shape)
    lstm = build("library", textbook_weights(shape))
    library = nn.LSTM(shape.vocab_size, shape.hidden, dtype=torch.float64)
    library.load_state_dict(lstm.state_dict())
    one_hot = nn.functional.one_hot(tokens, shape.vocab_size).double()
    expected, (hidden, cell) = library(one_hot, (state.hidden, state.cell))
    outputs, final = lstm(tokens, state)
    assert torch.equal(outputs, expected)
    assert torch.equal(final.hidden, hidden)
    assert torch.equal(final.cell, cell)


def test_they_keep_the_library_s_default_start() -> None:
    for ours, theirs, sizes in ((LibraryLSTM, nn.LSTM, (7, 4)), (LibraryOutput, nn.Linear, (4, 7))):
        starts = []
        for module in (ours, theirs):
            torch.manual_seed(0)
            starts.append(module(*sizes).state_dict())
        assert starts[0].keys() == starts[1].keys()
        assert all(torch.equal(weight, starts[1][name]) for name, weight in starts[0].items())
