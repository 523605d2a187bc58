"""The project's LSTMs with the same weights, and all that a run of one brings forth, to compare one with another."""

import copy
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.layer import Dropout, Stack, State, Textbook
from lstm_lm.model.lstm_concise import LibraryLSTM
from lstm_lm.model.lstm_fused import PYTORCH, FusedLayer
from lstm_lm.model.lstm_scratch import BookLayer
from lstm_lm.model.native_backend import NATIVE

LSTM = Stack | LibraryLSTM

FUSED = ("fused", "fused_pytorch")
"""The kernels with back-propagation through time by hand."""

KERNELS = ("book", *FUSED, "library")
KINDS = [("scratch", "book"), ("scratch", "fused"), ("scratch", "fused_pytorch"), ("concise", "fused")]
"""Each kernel as `build` of the language model takes it: kind and `scratch.kernel`."""

PARTS: list[dict[str, object]] = [
    {},
    {"layers": 3},
    {"embedding": 4},
    {"embedding": 3, "tied": True},
    {"layers": 2, "embedding": 3, "tied": True},
]
"""Parts of an architecture of three hidden units beside the default's."""


class Shape(NamedTuple):
    """The sizes of a window and of a model."""

    num_steps: int
    batch_size: int
    vocab_size: int
    hidden: int


SHAPES = (Shape(7, 3, 11, 6), Shape(1, 1, 2, 1), Shape(35, 4, 28, 17), Shape(5, 18, 3, 40), Shape(3, 7, 3, 70))


def randomised(model: LanguageModel, std: float = 1.0) -> LanguageModel:
    """The model with normal random weights, always the same ones: it is far from indifferent."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std, generator=generator)
    return model


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


def random_state(shape: Shape, dtype: torch.dtype = torch.float64) -> State:
    """A state as any window may leave it."""
    generator = torch.Generator().manual_seed(2)
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
    gradients = {"initial hidden": hidden.grad, "initial cell": cell.grad, **weight_gradients(lstm)}
    found = zip(("outputs", "final hidden", "final cell"), (value.detach() for value in values), strict=True)
    return dict(found) | {f"gradient of {name}": gradient for name, gradient in gradients.items()}


def weight_gradients(model: LSTM | LanguageModel) -> Textbook:
    """The gradients under the weights' names; of the library's two biases, which have the same, that of one."""
    gradients = copy.deepcopy(model)
    for gradient, parameter in zip(gradients.parameters(), model.parameters(), strict=True):
        assert parameter.grad is not None
        gradient.data = parameter.grad.clone()
    named = dict(gradients.named_parameters())
    for name, bias in named.items():
        if "bias_hh" in name:
            torch.testing.assert_close(bias, named[name.replace("bias_hh", "bias_ih")])
            bias.data.zero_()
    return gradients.textbook()


assert_same = torch.testing.assert_close
"""Every tensor of one mapping within the tolerances of the other's; the message names the one that is not."""
