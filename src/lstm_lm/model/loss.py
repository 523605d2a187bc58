"""The output layer and the loss as one function, some rows of logits at a time: many words would fill the memory."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstm_lm.model.affine import product_dtype, weight_gradient
from lstm_lm.model.backend import Backend

PIECE = 2**23
"""Logits that are computed at once, 32 MiB in float32: 838 tokens over 10,000 words. Each piece more costs a pass over
the output layer's weights and their gradients."""


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
        factor, mean, d_rows = weight.to(dtype), bias.new_zeros(()), torch.empty_like(hidden_states)
        d_weight, d_bias = None, None
        pieces = (all_rows.split(count) for all_rows in (hidden_states.to(dtype), targets, d_rows))
        for rows, wanted, d_piece in zip(*pieces, strict=True):
            logits = backend.product(rows, factor, bias)
            nats, d_logits = backend.cross_entropy(logits, wanted, len(targets))
            mean += nats
            d_products = d_logits.to(dtype)
            d_piece.copy_(backend.product(d_products, factor.T))
            d_weight = _add(d_weight, weight_gradient(backend, rows, d_products, weight).to(weight.dtype))
            d_bias = _add(d_bias, backend.sum_rows(d_logits)[0])
        ctx.save_for_backward(d_rows, d_weight, d_bias)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mean: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of the mean to those of H, W and b."""
        d_rows, d_weight, d_bias = (gradient * d_mean for gradient in ctx.saved_tensors)
        return None, d_rows, d_weight, d_bias, None


def _add(total: Tensor | None, part: Tensor) -> Tensor:
    """The sum of the parts so far."""
    return part if total is None else total.add_(part)
