"""What computes the fused model: a backend. There are two, `pytorch_backend` and, in C++, `native_backend`."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


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
    """A trace with `gates` and the initial state; the rest is still to be written."""
    num_steps, batch_size, _ = gates.shape
    hidden = gates.new_empty(num_steps + 1, batch_size, initial_hidden.shape[-1])
    cells, squashed = torch.empty_like(hidden), torch.empty_like(hidden[1:])
    hidden[0], cells[0] = initial_hidden, initial_cell
    return Trace(gates, cells, squashed, hidden)


class Backend(Protocol):
    """The loops over time, the products and the loss of the fused model."""

    def run(self, gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
        """The forward loop of `lstm_fused.Recurrence`; `gates` holds A' and is overwritten."""
        ...

    def run_back(
        self, trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The backward loop: dA_1 ... dA_T, dW_h, dH_0 and dC_0."""
        ...

    def product(self, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        """The matrix product of left (rows, depth) and right (depth, columns), plus bias (columns,) in each row."""
        ...

    def look_up(self, table: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        """Rows of a table (types, columns) plus bias (columns,), (ids, columns)."""
        ...

    def look_up_back(self, d_rows: Tensor, ids: Tensor, types: int) -> tuple[Tensor, Tensor]:
        """The gradients of the table (types, columns) and the bias (columns,) from those of the rows (ids, columns)."""
        ...

    def sum_rows(self, rows: Tensor) -> Tensor:
        """The sum of rows (rows, columns), (columns,)."""
        ...

    def loss(
        self, rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, tokens: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The sum of -ln softmax(rows weight + bias)[target], in nats, over `tokens`, and its gradients.

        Args:
            rows: hidden states, (rows, hidden).
            weight: (hidden, vocab_size), in the type of the rows; it or its transpose is contiguous.
            bias: (vocab_size,), in the type of the sum.
            targets: token ids, int64, (rows,).
            tokens: the divisor; for a mean, the number of rows in all pieces.

        Returns:
            The sum, a scalar; the gradients of the rows, of the weight, with its memory layout, and of the bias.
        """
        ...

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """-ln softmax(logits)[target] in nats, float64, (rows,); the logits (rows, vocab_size) may be overwritten."""
        ...
