"""What a way to compute the fused model consists of. There are two: `lstm_fused` in PyTorch, `lstm_native` in C++."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]
"""(rows, depth) times (depth, columns), either of them transposed or not, to (rows, columns)."""

CrossEntropy = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""See `loss.cross_entropy`."""


class Trace(NamedTuple):
    """What a forward pass leaves for the backward pass, for every step of a window.

    `gates` holds C~, I, F and O side by side, (num_steps, batch_size, 4 hidden). `hidden` and `cells` begin
    with the initial state, (num_steps + 1, batch_size, hidden). `squashed` is tanh(C), (num_steps,
    batch_size, hidden).
    """

    gates: Tensor
    cells: Tensor
    squashed: Tensor
    hidden: Tensor


def new_trace(gates: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
    """A trace that begins with the initial state, the rest of it but `gates` still to be written."""
    num_steps, batch_size, _ = gates.shape
    hidden = gates.new_empty(num_steps + 1, batch_size, initial_hidden.shape[-1])
    cells, squashed = torch.empty_like(hidden), torch.empty_like(hidden[1:])
    hidden[0], cells[0] = initial_hidden, initial_cell
    return Trace(gates, cells, squashed, hidden)


class Backend(NamedTuple):
    """One way to compute: the forward and the backward loop over time, a matrix product, the cross-entropy."""

    run: Callable[[Tensor, Tensor, Tensor, Tensor], Trace]
    run_back: Callable[[Trace, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    product: Product
    cross_entropy: CrossEntropy
