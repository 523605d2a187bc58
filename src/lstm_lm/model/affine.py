"""An affine map, X W + b, whose product and gradients a backend computes, also for one-hot vectors X."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstm_lm.model.backend import Backend


class Affine(torch.autograd.Function):
    """(backend, X, W, b) -> Y = X W + b, for rows X (rows, depth), W (depth, columns) and b (columns,).

    The gradients are dX = dY W^T, dW = X^T dY and db, the sum of dY's rows.
    """

    @staticmethod
    def forward(ctx: Any, backend: Backend, *inputs: Tensor) -> Tensor:
        """X, W and b to X W + b."""
        rows, weight, bias = inputs
        ctx.save_for_backward(rows, weight)
        ctx.backend = backend
        return backend.product(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of X W + b to those of X, W and b that are needed."""
        (rows, weight), backend = ctx.saved_tensors, ctx.backend
        of_rows, of_weight, of_bias = ctx.needs_input_grad[1:]
        d_rows = backend.product(d_outputs, weight.T) if of_rows else None
        d_weight = weight_gradient(backend, rows, d_outputs, weight) if of_weight else None
        return None, d_rows, d_weight, backend.sum_rows(d_outputs) if of_bias else None


class LookUp(torch.autograd.Function):
    """(backend, W, b, ids) -> the rows of W (types, columns) that ids (rows,) name, plus b (columns,).

    It is `Affine` of one-hot vectors: dW is for each id the sum of its rows of dY, and db the sum of dW's rows.
    """

    @staticmethod
    def forward(ctx: Any, backend: Backend, *inputs: Tensor) -> Tensor:
        """W, b and ids to rows."""
        table, bias, ids = inputs
        ctx.save_for_backward(ids)
        ctx.backend, ctx.types = backend, len(table)
        return backend.look_up(table, bias, ids)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_rows: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of the rows to those of W and b."""
        return None, *ctx.backend.look_up_back(d_rows, ctx.saved_tensors[0], ctx.types), None


def affine(backend: Backend, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Inputs times weight (depth, columns) plus bias (columns,). Under autocast, torch computes it in autocast's type.

    Args:
        backend: what computes it.
        inputs: vectors, (..., depth), or ids, int64, (num_steps, batch_size), that stand for one-hot vectors.
        weight: (depth, columns).
        bias: (columns,).
    """
    if inputs.dtype == torch.int64:
        rows, shape = LookUp.apply(backend, weight, bias, inputs.flatten()), inputs.shape
    elif product_dtype(weight) != weight.dtype:
        return inputs @ weight + bias
    else:
        rows, shape = Affine.apply(backend, inputs.flatten(0, -2), weight, bias), inputs.shape[:-1]
    return rows.view(*shape, -1)  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def weight_gradient(backend: Backend, rows: Tensor, d_outputs: Tensor, weight: Tensor) -> Tensor:
    """The gradient X^T dY of a weight, laid out in memory as the weight is: autograd would copy any other."""
    return backend.product(d_outputs.T, rows).T if weight.T.is_contiguous() else backend.product(rows.T, d_outputs)


def product_dtype(weight: Tensor) -> torch.dtype:
    """Autocast's type for products where it is on, else the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
