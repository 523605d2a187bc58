"""torch.nn.LSTM and torch.nn.Linear behind our signatures."""

import pytest
import torch
from torch import nn

from lstm_lm.model import compiled, language_model
from lstm_lm.model.backend import Backend
from lstm_lm.model.language_model import build as build_model
from lstm_lm.model.lstm_concise import LibraryEmbedding, LibraryLSTM, LibraryOutput
from lstm_lm.model.native_backend import NATIVE
from lstm_lm.model.pytorch_backend import PYTORCH
from lstms import SHAPES, build, random_state, random_tokens, textbook_weights
from projects import params_of


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


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("backend", [PYTORCH, NATIVE], ids=["PyTorch", "C++"])
def test_an_output_layer_with_our_backend_is_the_library_s(backend: Backend, tied: bool) -> None:
    gradients = []
    for own in (None, backend):
        torch.manual_seed(0)
        embedding = LibraryEmbedding(7, 4).double() if tied else None
        output = LibraryOutput(4, 7, embedding, own).double()
        hidden_states = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
        (output(hidden_states) * torch.randn(5, 3, 7, dtype=torch.float64)).sum().backward()
        gradients.append([hidden_states.grad, output.weight.grad, output.bias.grad])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


class Untouched:
    """A backend that must not be used."""


def test_on_another_device_the_output_layer_is_the_library_s_own() -> None:
    output = LibraryOutput(4, 7, backend=Untouched()).to("meta")  # pyright: ignore[reportArgumentType]
    hidden_states, targets = torch.empty(5, 3, 4, device="meta"), torch.empty(5, 3, dtype=torch.int64, device="meta")
    assert output(hidden_states).shape == (5, 3, 7)
    assert output.loss(hidden_states, targets).shape == ()
    assert output.surprisal(output(hidden_states[:, 0]), targets[:, 0]).shape == (5,)


def test_portable_numerics_compute_the_output_layer_as_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    for portable, backend in ((True, NATIVE), (False, None)):
        monkeypatch.setattr(language_model, "is_portable", lambda portable=portable: portable)
        output = build_model("concise", 7, params_of()).output
        assert isinstance(output, LibraryOutput)
        assert output.backend is backend
        told = language_model.kernel_name("library", torch.device("cpu"), "fp32")
        in_cpp = ", output layer and update in C++" if portable else ", update in C++"
        assert told == "torch.nn.LSTM" + in_cpp * (compiled.library() is not None)
