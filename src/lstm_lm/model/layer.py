"""The parts that all LSTMs from scratch share: a layer's interface, its state, dropout, a stack of layers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

Textbook = dict[str, Tensor]
"""Weights under the textbook's names: W_xi, W_hi, b_i (input gate), then f (forget), o (output), c (candidate)."""


class State(NamedTuple):
    """An LSTM's state between two time steps: hidden state H and cell state C, (layers, batch_size, hidden) each."""

    hidden: Tensor
    cell: Tensor

    def detach(self) -> "State":
        """The same values, detached from the graph."""
        return State(self.hidden.detach(), self.cell.detach())


class Layer(nn.Module):
    """A layer of LSTM cells, one direction.

    `BookLayer` documents the equations; every layer computes them. The weights begin at zero: the language model
    sets them (`load_textbook`).

    Args:
        input_size: numbers in an input vector; with token ids as inputs, the vocabulary's size.
        hidden: units.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.input_size, self.hidden = input_size, hidden

    def textbook(self) -> Textbook:
        """The weights under the textbook's names: W_x. (input_size, hidden), W_h. (hidden, hidden), b. (hidden,)."""
        raise NotImplementedError

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights that `textbook` returned, from a layer of any kind. Raises KeyError, RuntimeError."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over a window.

        Args:
            inputs: vectors, (num_steps, batch_size, input_size), or token ids, int64, (num_steps, batch_size), which
                stand for one-hot vectors.
            hidden: H before the window, (batch_size, hidden).
            cell: C before the window, (batch_size, hidden).

        Returns:
            H after every step, (num_steps, batch_size, hidden); H and C after the last.
        """
        raise NotImplementedError


class Dropout(nn.Module):
    """In training, sets each number to zero with probability p and divides the others by 1 - p.

    A generator of its own draws the masks, so they are the same for every kernel (Srivastava and others, 2014;
    in LSTMs: Zaremba, Sutskever and Vinyals, 2014).

    Args:
        p: probability, at least 0 and below 1.
        seed: of the masks.

    Attributes:
        part: (rank, size): selects this process's slice of the batch's mask.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p, self.seed, self.part = p, seed, (0, 1)
        self._generator: torch.Generator | None = None

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator of the masks, on the device where they are needed."""
        if self._generator is None or self._generator.device.type != device.type:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    def renew_generator(self) -> None:
        """Go on with a new generator in the old one's state: a CUDA graph whose capture failed leaves it unusable."""
        if self._generator is not None:
            state = self._generator.get_state()
            self._generator = torch.Generator(self._generator.device).set_state(state)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map numbers of the shape (num_steps, batch_size, size) to the same shape."""
        if not self.training or self.p == 0:
            return inputs
        number, count = self.part
        num_steps, batch_size, size = inputs.shape
        whole = (num_steps, batch_size * count, size)
        drawn = torch.rand(whole, generator=self.generator(inputs.device), device=inputs.device)
        kept = drawn.chunk(count, dim=1)[number] >= self.p
        return inputs * (kept / (1 - self.p)).to(inputs.dtype)


class Stack(nn.Module):
    """Layers on top of one another: each takes the hidden states of the one below, after dropout, as its inputs."""

    def __init__(self, layers: Sequence[Layer], dropout: Dropout) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = dropout

    def textbook(self) -> Textbook:
        """The weights of all layers. Above the first, the layer's number ends their names: W_xi_1."""
        return {name + suffix: weight for layer, suffix in self._named() for name, weight in layer.textbook().items()}

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights under the names of `textbook`; others are ignored. Raises KeyError, RuntimeError."""
        for layer, suffix in self._named():
            layer.load_textbook({name: weights[name + suffix] for name in layer.textbook()})

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over a window: `inputs` as for `Layer`, the state of all layers before it.

        Returns:
            The last layer's hidden state after every step, (num_steps, batch_size, hidden); the state after the last.
        """
        hidden, cell = [], []
        for number, (layer, H, C) in enumerate(zip(self.layers, *state, strict=True)):
            inputs, H, C = layer(self.dropout(inputs) if number else inputs, H, C)
            hidden.append(H)
            cell.append(C)
        return inputs, State(torch.stack(hidden), torch.stack(cell))

    def _named(self) -> list[tuple[Layer, str]]:
        """Each layer and the suffix of its weights' names."""
        return [(layer, f"_{index}" if index else "") for index, layer in enumerate(self.layers)]  # pyright: ignore[reportReturnType]
