"""The loss of a window and its gradients, some rows of logits at a time: with many words they would fill the memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

CrossEntropy = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""The type of `cross_entropy`."""

PIECE = 2**23
"""Logits that are computed at once, 32 MiB in float32: 838 tokens over 10,000 words. Each piece more costs a pass over
the output layer's weights and their gradients."""


def cross_entropy(logits: Tensor, targets: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """The sum of -ln softmax(logits)[target], in nats, over `tokens`, and its gradient.

    Args:
        logits: (rows, vocab_size), which may be overwritten.
        targets: token ids, int64, (rows,).
        tokens: what to divide by; for a mean over all rows of all pieces, their number.

    Returns:
        A scalar; the gradient of the logits, in their type.
    """
    leaf = logits.detach().float().requires_grad_()
    nats = nn.functional.cross_entropy(leaf, targets, reduction="sum") / tokens
    nats.backward()
    assert leaf.grad is not None
    return nats.detach(), leaf.grad.to(logits.dtype)


def rows_at_once(vocab_size: int) -> int:
    """How many rows of logits make a piece."""
    return max(1, PIECE // vocab_size)


def backpropagate(
    output: Callable[[Tensor], Tensor],
    cross_entropy: CrossEntropy,
    vocab_size: int,
    hidden_states: Tensor,
    targets: Tensor,
) -> Tensor:
    """Add the gradients of the mean cross-entropy to `grad` of every weight that it depends on.

    Args:
        output: the output layer, (rows, hidden) to logits (rows, vocab_size).
        cross_entropy: the loss of some of the rows and its gradient.
        vocab_size: tokens in the vocabulary.
        hidden_states: the inputs of `output`, (num_steps, batch_size, hidden), with the graph of the weights below it.
        targets: token ids, int64, (num_steps, batch_size).

    Returns:
        The mean, nats per token, a scalar on the device.
    """
    rows, wanted = hidden_states.detach().flatten(0, 1), targets.flatten()
    gradient, mean = torch.empty_like(rows), rows.new_zeros((), dtype=torch.float32)
    count = rows_at_once(vocab_size)
    for piece, of_piece, d_piece in zip(*(all.split(count) for all in (rows, wanted, gradient)), strict=True):
        logits = output(piece.requires_grad_())
        nats, d_logits = cross_entropy(logits.detach(), of_piece, len(wanted))
        _Given.apply(logits, d_logits).backward()
        assert piece.grad is not None
        d_piece.copy_(piece.grad)
        mean += nats
    _Given.apply(hidden_states, gradient.view_as(hidden_states)).backward()
    return mean


class _Given(torch.autograd.Function):
    """A scalar whose gradient with respect to a tensor is given.

    `tensor.backward(gradient)` computes the same, but imports PyTorch's symbolic shapes: half a second and 34 MiB.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return tensor.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.saved_tensors[0], None
