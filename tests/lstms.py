"""The project's LSTMs with the same weights, and all that a run of one brings forth, to compare one with another."""

import copy
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lstm_lm.model.layer import Dropout, Stack, State, Textbook
from lstm_lm.model.lstm_concise import LibraryLSTM
from lstm_lm.model.lstm_fused import PYTORCH, FusedLayer
from lstm_lm.model.lstm_scratch import BookLayer
from lstm_lm.model.native_backend import NATIVE

LSTM = Stack | LibraryLSTM

FUSED = ("fused", "fused_pytorch")
"""The kernels with back-propagation through time by hand."""


class Shape(NamedTuple):
    """The sizes of a window and of a model."""

    num_steps: int
    batch_size: int
    vocab_size: int
    hidden: int


SHAPES = (Shape(7, 3, 11, 6), Shape(1, 1, 2, 1), Shape(35, 4, 28, 17), Shape(5, 18, 3, 40), Shape(3, 7, 3, 70))


def textbook_weights(shape: Shape, dtype: torch.dtype = torch.float64, scale: float = 0.5) -> Textbook:
    """Random weights, biases too, under the textbook's names, always the same for the same arguments."""
    generator = torch.Generator().manual_seed(0)
    zeros = BookLayer(shape.vocab_size, shape.hidden).textbook()
    return {name: scale * torch.randn(zero.shape, generator=generator, dtype=dtype) for name, zero in zeros.items()}


def build(kernel: str, weights: Mapping[str, Tensor]) -> LSTM:
    """The LSTM of this kernel, or the library's, with these textbook weights, on their device and of their type."""
    sizes = weights["W_xi"].shape
    if kernel == "library":
        lstm = LibraryLSTM(*sizes)
    elif kernel == "book":
        lstm = Stack([BookLayer(*sizes)], Dropout(0, 0))
    else:
        lstm = Stack([FusedLayer(*sizes, backend=NATIVE if kernel == "fused" else PYTORCH)], Dropout(0, 0))
    lstm.to(weights["W_xi"]).load_textbook(weights)
    return lstm


def random_tokens(shape: Shape) -> Tensor:
    """Token ids (num_steps, batch_size), a view with its axes swapped, as the training's windows are."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(shape.vocab_size, (shape.batch_size, shape.num_steps), generator=generator).T


def random_state(shape: Shape, dtype: torch.dtype = torch.float64, seed: int = 2) -> State:
    """A state as any window may leave it."""
    generator = torch.Generator().manual_seed(seed)
    hidden, cell = torch.randn(2, 1, shape.batch_size, shape.hidden, generator=generator, dtype=dtype)
    return State(hidden, cell)


def everything(lstm: LSTM, tokens: Tensor, state: State) -> dict[str, Tensor]:
    """Outputs, final state, and the gradients of weights and initial state, weights under the textbook's names.

    The loss weighs every output, the final hidden and the final cell state with random numbers of their own.
    """
    hidden, cell = (part.clone().requires_grad_() for part in state)
    lstm.zero_grad()
    outputs, final = lstm(tokens, State(hidden, cell))
    generator, values = torch.Generator().manual_seed(3), [outputs, *final]
    weights = [torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value) for value in values]
    torch.autograd.backward(values, weights)
    assert hidden.grad is not None
    assert cell.grad is not None
    gradients = {"initial hidden": hidden.grad, "initial cell": cell.grad, **_weight_gradients(lstm)}
    found = zip(("outputs", "final hidden", "final cell"), (value.detach() for value in values), strict=True)
    return dict(found) | {f"gradient of {name}": gradient for name, gradient in gradients.items()}


def _weight_gradients(lstm: LSTM) -> Textbook:
    """The gradients under the weights' names; of the library's two biases, which have the same, that of one."""
    gradients = copy.deepcopy(lstm)
    for gradient, parameter in zip(gradients.parameters(), lstm.parameters(), strict=True):
        assert parameter.grad is not None
        gradient.data = parameter.grad.clone()
    if isinstance(gradients, LibraryLSTM):
        biases = [gradients.get_parameter(name) for name in ("bias_ih_l0", "bias_hh_l0")]
        torch.testing.assert_close(*biases)
        biases[1].data.zero_()
    return gradients.textbook()


assert_same = torch.testing.assert_close
"""Every tensor of one mapping within the tolerances of the other's; the message names the one that is not."""
