"""The long short-term memory of `lstm_scratch`, gates fused, back-propagation through time derived by hand."""

import torch
from torch import Tensor, nn

from lstm_lm.lstm_scratch import LSTMState, zero_state


class FusedCell(torch.autograd.Function):
    @staticmethod
    def forward(ctx, W_x, W_h, b, tokens, H0, C0):
        T, B = tokens.shape
        n = W_h.shape[0]
        gates = (W_x + b)[tokens]
        cells = gates.new_empty(T + 1, B, n)
        tanhs = gates.new_empty(T, B, n)
        hs = gates.new_empty(T + 1, B, n)
        hs[0], cells[0] = H0, C0
        for t in range(T):
            G = gates[t].addmm_(hs[t], W_h)
            ifo, c = G[:, : 3 * n], G[:, 3 * n :]
            ifo.sigmoid_()
            c.tanh_()
            torch.mul(G[:, n : 2 * n], cells[t], out=cells[t + 1]).addcmul_(G[:, :n], c)
            torch.tanh(cells[t + 1], out=tanhs[t])
            torch.mul(G[:, 2 * n : 3 * n], tanhs[t], out=hs[t + 1])
        ctx.save_for_backward(W_h, tokens, gates, cells, tanhs, hs)
        ctx.vocab = W_x.shape[0]
        return hs[1:], hs[T].clone(), cells[T].clone()

    @staticmethod
    def backward(ctx, d_hs, dH, dC):
        W_h, tokens, gates, cells, tanhs, hs = ctx.saved_tensors
        T, B, n = tanhs.shape
        i, f, o, c = gates.chunk(4, dim=-1)
        dH_to_dC = o * (1 - tanhs * tanhs)
        factors = torch.stack(
            [c * i * (1 - i), cells[:-1] * f * (1 - f), tanhs * o * (1 - o), i * (1 - c * c)], dim=2
        )
        dG = torch.empty_like(gates)
        W_hT = W_h.T
        for t in reversed(range(T)):
            dH = dH + d_hs[t]
            dC = torch.addcmul(dC, dH, dH_to_dC[t])
            v = dG[t].view(B, 4, n)
            torch.mul(factors[t, :, :2], dC[:, None], out=v[:, :2])
            torch.mul(factors[t, :, 2], dH, out=v[:, 2])
            torch.mul(factors[t, :, 3], dC, out=v[:, 3])
            dC = dC * f[t]
            dH = dG[t] @ W_hT
        flat = dG.view(T * B, 4 * n)
        dW_h = hs[:-1].reshape(T * B, n).T @ flat
        one_hot = nn.functional.one_hot(tokens.reshape(-1), ctx.vocab).to(flat.dtype)
        dW_x = one_hot.T @ flat
        return dW_x, dW_h, dW_x.sum(0), None, dH, dC


class LSTMFused(nn.Module):
    """First version."""

    def __init__(self, vocab_size: int, hidden: int) -> None:
        super().__init__()
        self.W_x = nn.Parameter(torch.zeros(vocab_size, 4 * hidden))
        self.W_h = nn.Parameter(torch.zeros(hidden, 4 * hidden))
        self.b = nn.Parameter(torch.zeros(4 * hidden))

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before the first token: zeros, (batch_size, hidden) each."""
        return zero_state(batch_size, self.W_h)

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Run over a window of tokens."""
        hs, H, C = FusedCell.apply(self.W_x, self.W_h, self.b, tokens, *state)
        return hs, LSTMState(H, C)
