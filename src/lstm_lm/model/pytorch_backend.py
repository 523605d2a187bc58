"""The backend in PyTorch, for every device and type."""

import torch
from torch import Tensor, nn

from lstm_lm.model.backend import Trace, new_trace

# Each writes incoming * (its function's derivative, from the function's value) into grad_input.
_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_through_tanh = torch.ops.aten.tanh_backward.grad_input


class PyTorch:
    """See `Backend`; `lstm_fused.Recurrence` derives the loops."""

    def run(self, gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
        """See `Backend.run`."""
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

    def run_back(
        self, trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Backend.run_back`."""
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
        previous, dtype = trace.hidden[:-1].flatten(0, 1), recurrent.dtype
        d_W_h = previous.to(dtype).T @ d_gates.flatten(0, 1).to(dtype)
        return d_gates, d_W_h.to(d_gates.dtype), d_hidden[0], dC

    def product(self, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        """See `Backend.product`."""
        product = left @ right
        return product if bias is None else product.to(bias.dtype).add_(bias)

    def look_up(self, table: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        """See `Backend.look_up`."""
        return (table + bias).index_select(0, ids)

    def look_up_back(self, d_rows: Tensor, ids: Tensor, types: int) -> tuple[Tensor, Tensor]:
        """See `Backend.look_up_back`."""
        d_table = d_rows.new_zeros(types, d_rows.shape[1]).index_add_(0, ids, d_rows)
        return d_table, d_table.sum(0)

    def sum_rows(self, rows: Tensor) -> Tensor:
        """See `Backend.sum_rows`."""
        return rows.sum(0)

    def loss(
        self, rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, tokens: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Backend.loss`."""
        logits = self.product(rows.detach(), weight.detach(), bias.detach())
        logits = logits.to(torch.promote_types(bias.dtype, torch.float32)).requires_grad_()
        with torch.enable_grad():
            nats = nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens
            nats.backward()
        assert logits.grad is not None
        d_logits = logits.grad.to(weight.dtype)
        transposed = weight.T.is_contiguous()
        d_weight = (d_logits.T @ rows).T if transposed else rows.T @ d_logits
        return nats.detach(), d_logits @ weight.T, d_weight, logits.grad.sum(0)

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `Backend.surprisal`."""
        return nn.functional.cross_entropy(logits.float(), targets, reduction="none").double()


PYTORCH = PyTorch()


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
