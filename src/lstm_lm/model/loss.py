"""Output layer and loss as one function, some rows at a time: all logits over many words would fill the memory."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstm_lm.model.affine import product_dtype
from lstm_lm.model.backend import Backend

PIECE = 2**23
"""Logits that are computed at once, 32 MiB in float32: 838 tokens over 10,000 words. Each further piece costs
a pass over the output layer's weights and their gradients."""


def rows_at_once(vocab_size: int) -> int:
    """How many rows of logits make a piece."""
    return max(1, PIECE // vocab_size)


def linear_cross_entropy(
    backend: Backend, hidden_states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> Tensor:
    """The mean cross-entropy of a window, nats per token, a scalar.

    Args:
        backend: what computes it.
        hidden_states: (num_steps, batch_size, hidden).
        weight: of the output layer, (hidden, vocab_size).
        bias: (vocab_size,).
        targets: token ids, int64, (num_steps, batch_size).
    """
    rows, wanted = hidden_states.flatten(0, 1), targets.flatten()
    return LinearCrossEntropy.apply(backend, rows, weight, bias, wanted)  # pyright: ignore[reportReturnType]


class LinearCrossEntropy(torch.autograd.Function):
    """(backend, H, W, b, targets) -> the mean of -ln softmax(H W + b)[target] over the rows of H (rows, hidden).

    With dY the gradient of the logits Y = H W + b, dH = dY W^T, dW = H^T dY, and db is the sum of dY's rows. The
    forward pass computes them some rows at a time and keeps them instead of the logits (a fused linear cross-entropy;
    Hsu and others, 2024, Liger Kernel).

    Under autocast the products are taken in its type, all else in the weights' own.
    """

    @staticmethod
    def forward(ctx: Any, backend: Backend, *inputs: Tensor) -> Tensor:
        """H, W, b and the targets (rows,) to the mean."""
        hidden_states, weight, bias, targets = inputs
        dtype, count = product_dtype(weight), rows_at_once(len(bias))
        pieces = zip(hidden_states.to(dtype).split(count), targets.split(count), strict=True)
        parts = [backend.loss(rows, weight.to(dtype), bias, wanted, len(targets)) for rows, wanted in pieces]
        mean, d_rows, d_weight, d_bias = parts[0] if len(parts) == 1 else _together(parts)
        ctx.save_for_backward(d_rows.to(hidden_states.dtype), d_weight.to(weight.dtype), d_bias)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mean: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of the mean to those of H, W and b."""
        d_rows, d_weight, d_bias = ctx.saved_tensors
        if d_mean.device.type == "cpu" and d_mean == 1:  # as in `loss.backward()`; reading it from a GPU would wait
            return None, d_rows, d_weight, d_bias, None
        return None, d_rows * d_mean, d_weight * d_mean, d_bias * d_mean, None


def _together(parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What `Backend.loss` returns for all pieces."""
    means, d_rows, d_weights, d_biases = zip(*parts, strict=True)
    mean, d_weight, d_bias = (functools.reduce(torch.add, pieces) for pieces in (means, d_weights, d_biases))
    return mean, torch.cat(d_rows), d_weight, d_bias
