"""The long short-term memory of `lstm_scratch`, its gates fused, back-propagation through time derived by hand."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lstm_lm.model.affine import affine, product_dtype
from lstm_lm.model.backend import Backend, Trace, new_trace
from lstm_lm.model.layer import Layer, Textbook
from lstm_lm.model.loss import cross_entropy, linear_cross_entropy
from lstm_lm.model.lstm_scratch import BookEmbedding, BookOutput

_GATES = "cifo"
_PARTS = ("W_x", "W_h", "b_")

# Each writes incoming * (its function's derivative, from the function's value) into grad_input.
_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_through_tanh = torch.ops.aten.tanh_backward.grad_input


class Recurrence(torch.autograd.Function):
    r"""(backend, A', W_h, H_0, C_0) -> (H_1 ... H_T, C_T), with gradients derived by hand.

    A' = X W_x + b, (num_steps, batch_size, 4 hidden), is what reaches the gates from below; it is overwritten.
    Forward, for t = 1 ... T, with * the element-wise product and sigma the logistic function:

        A_t = A'_t + H_{t-1} W_h
        [C~_t, I_t, F_t, O_t] = [tanh, sigma, sigma, sigma](A_t)
        C_t = F_t * C_{t-1} + I_t * C~_t
        H_t = O_t * tanh(C_t)

    Write dX for the gradient of the loss with respect to X, and dH'_t for the part of dH_t that comes from
    outside: the layer above. H_t acts through A_{t+1}, C_t through H_t and C_{t+1}, so that for t = T ... 1

        dH_t = dH'_t + dA_{t+1} W_h^T
        dC_t = dC_{t+1} * F_{t+1} + dH_t * O_t * (1 - tanh(C_t)^2)
        dA_t = [dC_t * I_t * (1 - C~_t^2),              through C~_t = tanh, then I_t * C~_t
                dC_t * C~_t * I_t * (1 - I_t),          through I_t = sigma, then I_t * C~_t
                dC_t * C_{t-1} * F_t * (1 - F_t),       through F_t = sigma, then F_t * C_{t-1}
                dH_t * tanh(C_t) * O_t * (1 - O_t)]     through O_t = sigma, then O_t * tanh(C_t)

    All but the leading dC_t and dH_t is known after the forward pass, so it is computed for all steps at
    once; the three gates that dC_t reaches stand side by side, as do the three that sigma makes, which is
    why C~ comes first. The initial state's gradients are what the loop leaves at t = 0, and dA' = dA. The
    recurrent weights collect a sum over steps, dW_h = sum_t H_{t-1}^T dA_t: one product with the steps stacked.

    Under autocast the products with W_h and its gradient are taken in autocast's type, all else in W_h's own.
    """

    @staticmethod
    def forward(ctx: Any, backend: Backend, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """A' (overwritten), W_h, H_0 and C_0 to H_1 ... H_T and C_T."""
        gates, W_h, hidden, cell = inputs
        recurrent = W_h.to(product_dtype(W_h))
        trace = backend.run(gates, recurrent, hidden, cell)
        ctx.save_for_backward(recurrent, *trace)
        ctx.backend = backend
        return trace.hidden[1:], trace.cells[-1]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the parameters' names
        ctx: Any, d_outputs: Tensor, d_cell: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of H_1 ... H_T and of C_T to those of A', W_h, H_0 and C_0."""
        recurrent, *saved = ctx.saved_tensors
        trace = Trace(*saved)
        d_gates, d_hidden, d_cell = ctx.backend.run_back(trace, recurrent, d_outputs, d_cell)
        previous = trace.hidden[:-1].flatten(0, 1)
        d_W_h = ctx.backend.product(previous.to(recurrent.dtype).T, d_gates.flatten(0, 1).to(recurrent.dtype))
        return None, d_gates, d_W_h.to(d_gates.dtype), d_hidden, d_cell


def run(gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
    """The forward loop; `gates` holds A' and is overwritten."""
    trace = new_trace(gates, initial_hidden, initial_cell)
    # Views are made before the loop, all at once: inside it, each would cost as much as the arithmetic.
    A, C, tanh_C, H = (buffer.unbind() for buffer in trace)
    C_tilde, I, F, O = (gate.unbind() for gate in gates.chunk(4, dim=-1))
    IFO = gates[..., len(recurrent) :].unbind()
    for t in range(len(gates)):
        _add_product(A[t], H[t], recurrent)
        C_tilde[t].tanh_()
        IFO[t].sigmoid_()
        torch.mul(F[t], C[t], out=C[t + 1]).addcmul_(I[t], C_tilde[t])
        torch.tanh(C[t + 1], out=tanh_C[t])
        torch.mul(O[t], tanh_C[t], out=H[t + 1])
    return trace


def run_back(trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The backward loop: dA_1 ... dA_T, dH_0 and dC_0."""
    C_tilde, _, F, _ = trace.gates.chunk(4, dim=-1)
    d_gates, hidden_to_cell = _derivatives(trace)
    d_hidden = torch.cat([torch.zeros_like(d_outputs[:1]), d_outputs])
    dC = d_cell.clone()
    by_gate = d_gates.unflatten(-1, (4, C_tilde.shape[-1]))
    dA, dA_CIF, dA_O = d_gates.unbind(), by_gate[:, :, :3].unbind(), by_gate[:, :, 3].unbind()
    dH, F, hidden_to_cell = d_hidden.unbind(), F.unbind(), hidden_to_cell.unbind()
    transposed = recurrent.T.contiguous()  # a product with a transposed view takes half as long again
    for t in reversed(range(len(dA))):
        dC.addcmul_(dH[t + 1], hidden_to_cell[t])
        dA_CIF[t].mul_(dC.unsqueeze(1))
        dA_O[t].mul_(dH[t + 1])
        dC.mul_(F[t])
        _add_product(dH[t], dA[t], transposed)
    return d_gates, d_hidden[0], dC


def _derivatives(trace: Trace) -> tuple[Tensor, Tensor]:
    """For all steps at once, what dC_t and dH_t are multiplied with on the way to dA_t, and dH_t on that to dC_t."""
    C_tilde, I, F, O = trace.gates.chunk(4, dim=-1)
    factors, hidden_to_cell = torch.empty_like(trace.gates), torch.empty_like(trace.squashed)
    to_C_tilde, to_I, to_F, to_O = factors.chunk(4, dim=-1)
    _through_tanh(I, C_tilde, grad_input=to_C_tilde)
    _through_sigmoid(C_tilde, I, grad_input=to_I)
    _through_sigmoid(trace.cells[:-1], F, grad_input=to_F)
    _through_sigmoid(trace.squashed, O, grad_input=to_O)
    _through_tanh(O, trace.squashed, grad_input=hidden_to_cell)
    return factors, hidden_to_cell


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the product of `left` and `right`, taken in `right`'s type, to `total`, in place."""
    if left.dtype == right.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left.to(right.dtype) @ right)


PYTORCH = Backend(run, run_back, torch.mm, cross_entropy)


class FusedLayer(Layer):
    """`BookLayer`'s function with its twelve weights in three tensors, several times fewer operations.

    W_x (input_size, 4 hidden), W_h (hidden, 4 hidden) and b (4 hidden,) hold the textbook's W_x., W_h. and
    b_. side by side in the order c, i, f, o. A token's one-hot product with W_x is a row of W_x.

    Args:
        backend: `PYTORCH`, or `lstm_native.NATIVE`, which is C++.
    """

    def __init__(self, input_size: int, hidden: int, backend: Backend = PYTORCH) -> None:
        super().__init__(input_size, hidden)
        self.backend = backend
        self.W_x = nn.Parameter(torch.zeros(input_size, 4 * hidden))
        self.W_h = nn.Parameter(torch.zeros(hidden, 4 * hidden))
        self.b = nn.Parameter(torch.zeros(4 * hidden))

    def textbook(self) -> Textbook:
        """The three tensors cut into twelve."""
        blocks = [weight.detach().chunk(4, dim=-1) for weight in (self.W_x, self.W_h, self.b)]
        return {
            f"{part}{gate}": block.clone()
            for gate, *of_gate in zip(_GATES, *blocks, strict=True)
            for part, block in zip(_PARTS, of_gate, strict=True)
        }

    @torch.no_grad()
    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Twelve tensors side by side in three. Raises KeyError, RuntimeError."""
        for part, parameter in zip(_PARTS, (self.W_x, self.W_h, self.b), strict=True):
            parameter.copy_(torch.cat([weights[f"{part}{gate}"] for gate in _GATES], dim=-1))

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over a window; see `Layer.forward`."""
        if inputs.ndim == 2:
            gates = (self.W_x + self.b).index_select(0, inputs.reshape(-1)).view(*inputs.shape, -1)
        else:
            gates = affine(self.backend.product, inputs, self.W_x, self.b).to(self.W_h.dtype)
        outputs, cell = Recurrence.apply(self.backend, gates, self.W_h, hidden, cell)  # pyright: ignore[reportGeneralTypeIssues]
        return outputs, outputs[-1], cell


class FusedOutput(BookOutput):
    """`BookOutput` with the backend of the layers below it, and its loss as one function of the hidden states."""

    def __init__(
        self,
        hidden: int,
        vocab_size: int,
        embedding: BookEmbedding | None = None,
        backend: Backend = PYTORCH,
    ) -> None:
        super().__init__(hidden, vocab_size, embedding)
        self.backend = backend

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map (..., hidden) to logits (..., vocab_size)."""
        return affine(self.backend.product, hidden_states, self.weight(), self.b_q)

    def loss(self, hidden_states: Tensor, targets: Tensor) -> Tensor:
        """See `BookOutput.loss`."""
        return linear_cross_entropy(self.backend, hidden_states, self.weight(), self.b_q, targets)
