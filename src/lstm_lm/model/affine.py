"""An affine map, X W + b, whose product and gradients are computed by whatever function is given for it."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstm_lm.model.backend import Product


class Affine(torch.autograd.Function):
    """(product, X, W, b) -> Y = X W + b, for rows X (rows, depth), W (depth, columns) and b (columns,).

    The gradients are dX = dY W^T, dW = X^T dY and db, the sum of dY's rows.
    """

    @staticmethod
    def forward(ctx: Any, product: Product, *inputs: Tensor) -> Tensor:
        """X, W and b to X W + b."""
        rows, weight, bias = inputs
        ctx.save_for_backward(rows, weight)
        ctx.product = product
        return product(rows, weight).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of X W + b to those of X, W and b, where they are asked for."""
        rows, weight = ctx.saved_tensors
        of_rows, of_weight, of_bias = ctx.needs_input_grad[1:]
        d_rows = ctx.product(d_outputs, weight.T) if of_rows else None
        d_weight = weight_gradient(ctx.product, rows, d_outputs, weight) if of_weight else None
        return None, d_rows, d_weight, d_outputs.sum(0) if of_bias else None


def weight_gradient(product: Product, rows: Tensor, d_outputs: Tensor, weight: Tensor) -> Tensor:
    """The gradient X^T dY of a weight, laid out in memory as the weight is: autograd would copy any other."""
    return product(d_outputs.T, rows).T if weight.T.is_contiguous() else product(rows.T, d_outputs)


def affine(product: Product, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Inputs (..., depth) times weight (depth, columns) plus bias (columns,); under autocast in its type, by torch."""
    if product_dtype(weight) != weight.dtype:
        return inputs @ weight + bias
    rows = Affine.apply(product, inputs.flatten(0, -2), weight, bias)
    return rows.view(*inputs.shape[:-1], -1)  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def product_dtype(weight: Tensor) -> torch.dtype:
    """The type that autocast wants products in, where it is on; else the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
