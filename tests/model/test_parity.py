"""The same weights in three layouts."""

import torch
from torch import Tensor, nn

from lstm_lm.model import parity
from lstm_lm.model.lstm_fused import LSTMFused
from lstm_lm.model.lstm_scratch import LSTMScratch, OutputScratch

VOCAB_SIZE, HIDDEN = 5, 3


def numbered(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same names and shapes in which no number occurs twice."""
    first, numbers = 0, {}
    for name, tensor in shapes.items():
        numbers[name] = torch.arange(first, first + tensor.numel(), dtype=torch.float64).reshape(tensor.shape)
        first += tensor.numel()
    return numbers


def textbook_weights() -> dict[str, Tensor]:
    return numbered(LSTMScratch(VOCAB_SIZE, HIDDEN).state_dict())


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def test_each_gate_has_its_block() -> None:
    textbook = textbook_weights()
    fused, library = parity.textbook_to_fused(textbook), parity.textbook_to_library(textbook)
    for block, gate in enumerate("cifo"):
        columns = slice(block * HIDDEN, (block + 1) * HIDDEN)
        assert torch.equal(fused["W_x"][:, columns], textbook[f"W_x{gate}"])
        assert torch.equal(fused["W_h"][:, columns], textbook[f"W_h{gate}"])
        assert torch.equal(fused["b"][columns], textbook[f"b_{gate}"])
    for block, gate in enumerate("ifco"):
        rows = slice(block * HIDDEN, (block + 1) * HIDDEN)
        assert torch.equal(library["weight_ih_l0"][rows], textbook[f"W_x{gate}"].T)
        assert torch.equal(library["weight_hh_l0"][rows], textbook[f"W_h{gate}"].T)
        assert torch.equal(library["bias_ih_l0"][rows], textbook[f"b_{gate}"])


def test_names_and_shapes_are_the_modules() -> None:
    textbook = textbook_weights()
    LSTMFused(VOCAB_SIZE, HIDDEN).double().load_state_dict(parity.textbook_to_fused(textbook))
    nn.LSTM(VOCAB_SIZE, HIDDEN).double().load_state_dict(parity.textbook_to_library(textbook))


def test_there_and_back_is_the_same() -> None:
    textbook = textbook_weights()
    assert_same(parity.fused_to_textbook(parity.textbook_to_fused(textbook)), textbook)
    assert_same(parity.library_to_textbook(parity.textbook_to_library(textbook)), textbook)
    fused = numbered(LSTMFused(VOCAB_SIZE, HIDDEN).state_dict())
    assert_same(parity.textbook_to_fused(parity.fused_to_textbook(fused)), fused)


def test_the_library_s_two_biases_are_one() -> None:
    library = numbered(nn.LSTM(VOCAB_SIZE, HIDDEN).state_dict())
    back = parity.textbook_to_library(parity.library_to_textbook(library))
    assert torch.equal(back["bias_ih_l0"], library["bias_ih_l0"] + library["bias_hh_l0"])
    assert not back["bias_hh_l0"].any()
    assert torch.equal(back["weight_ih_l0"], library["weight_ih_l0"])
    assert torch.equal(back["weight_hh_l0"], library["weight_hh_l0"])


def test_a_whole_model_computes_the_same() -> None:
    scratch, output = LSTMScratch(VOCAB_SIZE, HIDDEN).double(), OutputScratch(HIDDEN, VOCAB_SIZE).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in (*scratch.parameters(), *output.parameters()):
        nn.init.normal_(parameter, generator=generator)
    concise = parity.textbook_to_concise({**scratch.state_dict(), **output.state_dict()})
    lstm, linear = nn.LSTM(VOCAB_SIZE, HIDDEN).double(), nn.Linear(HIDDEN, VOCAB_SIZE).double()
    modules = nn.ModuleDict({"lstm": lstm, "output": linear})
    modules.load_state_dict(concise)
    tokens = torch.randint(VOCAB_SIZE, (4, 2), generator=generator)
    expected = output(scratch(tokens, scratch.initial_state(2))[0])
    actual = linear(lstm(nn.functional.one_hot(tokens, VOCAB_SIZE).double())[0])
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_the_given_weights_stay_untouched() -> None:
    textbook = textbook_weights()
    for tensor in parity.fused_to_textbook(parity.textbook_to_fused(textbook)).values():
        tensor.zero_()
    fused = parity.textbook_to_fused(textbook)
    for tensor in parity.fused_to_textbook(fused).values():
        tensor.zero_()
    assert_same(fused, parity.textbook_to_fused(textbook_weights()))
