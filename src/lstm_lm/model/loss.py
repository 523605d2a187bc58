"""The loss of a window and its gradients, some rows of logits at a time: with many words they would fill the memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

PIECE = 2**21
"""Logits that are computed at once, 8 MiB in float32: 209 tokens over 10,000 words."""


def rows_at_once(vocab_size: int) -> int:
    """How many rows of logits make a piece."""
    return max(1, PIECE // vocab_size)


def backpropagate(
    output: Callable[[Tensor], Tensor], vocab_size: int, hidden_states: Tensor, targets: Tensor
) -> Tensor:
    """Add the gradients of the mean cross-entropy to `grad` of every weight that it depends on.

    Args:
        output: the output layer, (rows, hidden) to logits (rows, vocab_size).
        hidden_states: its inputs, (num_steps, batch_size, hidden), of a graph that ends in the weights below it.
        targets: token ids, int64, (num_steps, batch_size).

    Returns:
        The mean, nats per token, a scalar on the device.
    """
    rows, wanted = hidden_states.detach().flatten(0, 1), targets.flatten()
    gradient, nats = torch.empty_like(rows), rows.new_zeros((), dtype=torch.float32)
    count = rows_at_once(vocab_size)
    for piece, of_piece, d_piece in zip(*(all.split(count) for all in (rows, wanted, gradient)), strict=True):
        leaf = piece.requires_grad_()
        loss = nn.functional.cross_entropy(output(leaf).float(), of_piece, reduction="sum") / len(wanted)
        loss.backward()
        d_piece.copy_(leaf.grad)
        nats += loss.detach()
    hidden_states.backward(gradient.view_as(hidden_states))
    return nats
