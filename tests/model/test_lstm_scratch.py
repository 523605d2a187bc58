"""The textbook's equations against numbers worked out without tensors, and against the library."""

import math

import pytest
import torch

from lstm_lm.model.layer import State
from lstm_lm.model.lstm_scratch import BookLayer, BookOutput
from lstms import FUSED, SHAPES, Shape, assert_same, build, everything, random_state, random_tokens
from lstms import textbook_weights as weights_for

FROM_SCRATCH = ("book", *FUSED)
"""The kernels that are held against the library."""


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_two_steps_of_one_unit_worked_out_by_hand() -> None:
    weights = weights_for(Shape(2, 1, 3, 1))
    number = {name: weight.flatten().tolist() for name, weight in weights.items()}
    tokens, H, C = [2, 0], 0.3, -0.7
    for x in tokens:
        gate = {g: number[f"W_x{g}"][x] + H * number[f"W_h{g}"][0] + number[f"b_{g}"][0] for g in "ifoc"}
        C = sigma(gate["f"]) * C + sigma(gate["i"]) * math.tanh(gate["c"])
        H = sigma(gate["o"]) * math.tanh(C)
    state = State(*torch.tensor([[[[0.3]]], [[[-0.7]]]], dtype=torch.float64))
    outputs, final = build("book", weights)(torch.tensor(tokens)[:, None], state)
    assert outputs[-1].item() == pytest.approx(H, rel=1e-12)
    assert final.hidden.item() == pytest.approx(H, rel=1e-12)
    assert final.cell.item() == pytest.approx(C, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", FROM_SCRATCH)
def test_values_states_and_gradients_are_the_library_s(kernel: str, shape: Shape) -> None:
    weights, tokens, state = weights_for(shape), random_tokens(shape), random_state(shape)
    expected = everything(build("library", weights), tokens, state)
    assert_same(everything(build(kernel, weights), tokens, state), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", FROM_SCRATCH)
def test_single_precision_is_the_library_s_within_its_rounding(kernel: str) -> None:
    shape = Shape(35, 32, 28, 256)
    weights = weights_for(shape, torch.float32, scale=0.05)
    tokens, state = random_tokens(shape), random_state(shape, torch.float32)
    expected = everything(build("library", weights), tokens, state)
    assert_same(everything(build(kernel, weights), tokens, state), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [*FROM_SCRATCH, "library"])
def test_one_run_equals_two_carried_halves(kernel: str) -> None:
    shape = SHAPES[0]
    lstm, tokens = build(kernel, weights_for(shape)), random_tokens(shape)
    whole, final = lstm(tokens, random_state(shape))
    first, middle = lstm(tokens[:3], random_state(shape))
    second, last = lstm(tokens[3:], middle)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(last, final, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kernel", [*FROM_SCRATCH, "library"])
def test_an_untouched_state_is_left_as_it_was(kernel: str) -> None:
    shape = SHAPES[0]
    state = random_state(shape)
    build(kernel, weights_for(shape))(random_tokens(shape), state)
    for part, before in zip(state, random_state(shape), strict=True):
        assert torch.equal(part, before)


def test_all_weights_begin_at_zero() -> None:
    assert not any(parameter.any() for parameter in BookLayer(4, 3).parameters())


def test_the_output_layer_maps_hidden_states_to_logits() -> None:
    output = BookOutput(2, 3)
    output.load_state_dict({"W_hq": torch.tensor([[1.0, 2, 3], [4, 5, 6]]), "b_q": torch.tensor([0.5, 0, -0.5])})
    assert output(torch.tensor([[[1.0, 10]]])).tolist() == [[[41.5, 52.0, 62.5]]]
