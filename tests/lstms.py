"""The project's LSTMs with the same weights, and all that a run of one brings forth, to compare one with another."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from lstm_lm.model import parity
from lstm_lm.model.lstm_concise import LSTMConcise
from lstm_lm.model.lstm_fused import LSTMFused
from lstm_lm.model.lstm_native import LSTMNative
from lstm_lm.model.lstm_scratch import LSTMScratch, LSTMState

LSTM = LSTMScratch | LSTMFused | LSTMConcise

FUSED = ("fused", "fused_pytorch")
"""The kernels with back-propagation through time by hand."""

FROM_SCRATCH = ("book", *FUSED)
"""The kernels that are held against the library."""

_gpu = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
)
DEVICES = ("cpu", _gpu)


class Shape(NamedTuple):
    """The sizes of a window and of a model."""

    num_steps: int
    batch_size: int
    vocab_size: int
    hidden: int


SHAPES = (Shape(7, 3, 11, 6), Shape(1, 1, 2, 1), Shape(35, 4, 28, 17), Shape(5, 18, 3, 40), Shape(3, 7, 3, 70))


def textbook_weights(shape: Shape, dtype: torch.dtype = torch.float64, scale: float = 0.5) -> dict[str, Tensor]:
    """Random weights, biases too, under the textbook's names, always the same for the same arguments."""
    generator = torch.Generator().manual_seed(0)
    zeros = LSTMScratch(shape.vocab_size, shape.hidden).state_dict()
    return {name: scale * torch.randn(zero.shape, generator=generator, dtype=dtype) for name, zero in zeros.items()}


def build(kernel: str, weights: Mapping[str, Tensor]) -> LSTM:
    """The LSTM of this kernel, or the library's, with these textbook weights, on their device and of their type."""
    sizes = weights["W_xi"].shape
    if kernel == "book":
        lstm, state = LSTMScratch(*sizes), dict(weights)
    elif kernel in FUSED:
        make = {"fused": LSTMNative, "fused_pytorch": LSTMFused}[kernel]
        lstm, state = make(*sizes), parity.textbook_to_fused(weights)
    else:
        lstm = LSTMConcise(*sizes)
        state = {f"lstm.{name}": weight for name, weight in parity.textbook_to_library(weights).items()}
    lstm.to(weights["W_xi"]).load_state_dict(state)
    return lstm


def random_tokens(shape: Shape) -> Tensor:
    """Token ids (num_steps, batch_size), a view with its axes swapped, as the training's windows are."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(shape.vocab_size, (shape.batch_size, shape.num_steps), generator=generator).T


def random_state(shape: Shape, dtype: torch.dtype = torch.float64, seed: int = 2) -> LSTMState:
    """A state as any window may leave it."""
    generator = torch.Generator().manual_seed(seed)
    hidden, cell = torch.randn(2, shape.batch_size, shape.hidden, generator=generator, dtype=dtype)
    return LSTMState(hidden, cell)


def everything(lstm: LSTM, tokens: Tensor, state: LSTMState) -> dict[str, Tensor]:
    """Outputs, final state, and the gradients of weights and initial state, weights under the library's names.

    The loss weighs every output, the final hidden and the final cell state with random numbers of their own.
    """
    state = LSTMState(*(part.clone().requires_grad_() for part in state))
    lstm.zero_grad()
    outputs, final = lstm(tokens, state)
    generator = torch.Generator().manual_seed(3)
    loss = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)).sum()
        for value in (outputs, *final)
    )
    assert isinstance(loss, Tensor)
    loss.backward()
    assert state.hidden.grad is not None
    assert state.cell.grad is not None
    return {
        "outputs": outputs.detach(),
        "final hidden": final.hidden.detach(),
        "final cell": final.cell.detach(),
        "gradient of the initial hidden": state.hidden.grad,
        "gradient of the initial cell": state.cell.grad,
        **_weight_gradients(lstm),
    }


def _weight_gradients(lstm: nn.Module) -> dict[str, Tensor]:
    gradients = {name: parameter.grad for name, parameter in lstm.named_parameters() if parameter.grad is not None}
    if isinstance(lstm, LSTMConcise):
        return {name.removeprefix("lstm."): gradient for name, gradient in gradients.items()}
    if isinstance(lstm, LSTMFused):
        gradients = parity.fused_to_textbook(gradients)
    gradients = parity.textbook_to_library(gradients)
    return {**gradients, "bias_hh_l0": gradients["bias_ih_l0"]}


def assert_same(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], rtol: float, atol: float) -> None:
    """Every tensor of `expected` within the tolerances, named where it is not."""
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            actual[name], tensor, rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )
