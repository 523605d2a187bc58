"""The long short-term memory of `lstm_scratch`, its gates fused, back-propagation through time derived by hand."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lstm_lm.model.affine import affine, product_dtype
from lstm_lm.model.backend import Backend, Trace
from lstm_lm.model.layer import Layer, Textbook
from lstm_lm.model.loss import linear_cross_entropy
from lstm_lm.model.lstm_scratch import BookEmbedding, BookOutput
from lstm_lm.model.pytorch_backend import PYTORCH

_GATES = "cifo"
_PARTS = ("W_x", "W_h", "b_")


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
        return None, *ctx.backend.run_back(trace, recurrent, d_outputs, d_cell)


class FusedLayer(Layer):
    """`BookLayer`'s function with its twelve weights in three tensors, and several times fewer operations.

    W_x (input_size, 4 hidden), W_h (hidden, 4 hidden) and b (4 hidden,) hold the textbook's W_x., W_h. and
    b_. side by side in the order c, i, f, o. A token's one-hot product with W_x is a row of W_x.

    Args:
        backend: what computes it.
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
        """Twelve tensors side by side in three."""
        for part, parameter in zip(_PARTS, (self.W_x, self.W_h, self.b), strict=True):
            parameter.copy_(torch.cat([weights[f"{part}{gate}"] for gate in _GATES], dim=-1))

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over a window; see `Layer.forward`."""
        gates = affine(self.backend, inputs, self.W_x, self.b).to(self.W_h.dtype)
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
        return affine(self.backend, hidden_states, self.weight(), self.b_q)

    def loss(self, hidden_states: Tensor, targets: Tensor) -> Tensor:
        """See `BookOutput.loss`."""
        return linear_cross_entropy(self.backend, hidden_states, self.weight(), self.b_q, targets)

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `BookOutput.surprisal`."""
        return self.backend.surprisal(logits, targets)
