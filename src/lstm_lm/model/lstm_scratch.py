"""The long short-term memory, from scratch: its equations, one line of code each, in the textbook's order."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm_lm.model.layer import Layer, Textbook


class TimeStep(NamedTuple):
    """What one time step computes, (batch_size, hidden) each."""

    input_gate: Tensor
    forget_gate: Tensor
    output_gate: Tensor
    cell_candidate: Tensor
    cell_state: Tensor
    hidden_state: Tensor


class BookLayer(Layer):
    r"""A long short-term memory whose forward pass can be read beside the equations.

    With X_t the input vector (batch_size, input_size), H and C the hidden and the cell state
    (batch_size, hidden), sigma the logistic function and * the element-wise product:

        I_t  = sigma(X_t W_xi + H_{t-1} W_hi + b_i)      input gate
        F_t  = sigma(X_t W_xf + H_{t-1} W_hf + b_f)      forget gate
        O_t  = sigma(X_t W_xo + H_{t-1} W_ho + b_o)      output gate
        C~_t = tanh (X_t W_xc + H_{t-1} W_hc + b_c)      cell candidate
        C_t  = F_t * C_{t-1} + I_t * C~_t                cell state
        H_t  = O_t * tanh(C_t)                           hidden state

    (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and Cummins, 2000; the
    notation is that of Dive into Deep Learning.) Each W_x. is (input_size, hidden), each W_h. is
    (hidden, hidden), each b_. is (hidden,). torch.nn.LSTM keeps the same numbers transposed and stacked:

        textbook            our name           rows of weight_ih_l0, weight_hh_l0, bias_*_l0
        W_xi, W_hi, b_i     input gate         block 0
        W_xf, W_hf, b_f     forget gate        block 1
        W_xc, W_hc, b_c     cell candidate     block 2   (PyTorch calls it g)
        W_xo, W_ho, b_o     output gate        block 3

    Every gradient comes from autograd, which makes this class the oracle for the faster ones.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__(input_size, hidden)

        def gate() -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
            return (
                nn.Parameter(torch.zeros(input_size, hidden)),
                nn.Parameter(torch.zeros(hidden, hidden)),
                nn.Parameter(torch.zeros(hidden)),
            )

        self.W_xi, self.W_hi, self.b_i = gate()
        self.W_xf, self.W_hf, self.b_f = gate()
        self.W_xo, self.W_ho, self.b_o = gate()
        self.W_xc, self.W_hc, self.b_c = gate()

    def textbook(self) -> Textbook:
        """The weights as they are."""
        return self.state_dict()

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights as they are."""
        self.load_state_dict(weights)

    def step(self, X: Tensor, H: Tensor, C: Tensor) -> TimeStep:
        """The equations, from X_t (batch_size, input_size) and the state before it, (batch_size, hidden) each."""
        I = torch.sigmoid(X @ self.W_xi + H @ self.W_hi + self.b_i)
        F = torch.sigmoid(X @ self.W_xf + H @ self.W_hf + self.b_f)
        O = torch.sigmoid(X @ self.W_xo + H @ self.W_ho + self.b_o)
        C_tilde = torch.tanh(X @ self.W_xc + H @ self.W_hc + self.b_c)
        C = F * C + I * C_tilde
        H = O * torch.tanh(C)
        return TimeStep(I, F, O, C_tilde, C, H)

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over a window; see `Layer.forward`."""
        if inputs.ndim == 2:
            inputs = nn.functional.one_hot(inputs, self.input_size).to(self.W_xi.dtype)
        H, C = hidden, cell
        outputs = []
        for X in inputs:
            *_, C, H = self.step(X, H, C)
            outputs.append(H)
        return torch.stack(outputs), H, C


class BookEmbedding(nn.Module):
    """The embedding: a token's vector is its row of W_e (vocab_size, embedding), its one-hot vector times W_e."""

    def __init__(self, vocab_size: int, embedding: int) -> None:
        super().__init__()
        self.W_e = nn.Parameter(torch.zeros(vocab_size, embedding))

    def textbook(self) -> Textbook:
        """W_e as it is."""
        return self.state_dict()

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over W_e."""
        self.load_state_dict({"W_e": weights["W_e"]})

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids (num_steps, batch_size) to vectors (num_steps, batch_size, embedding)."""
        return self.W_e.index_select(0, tokens.flatten()).view(*tokens.shape, -1)


class BookOutput(nn.Module):
    """The output layer, Y = H W_hq + b_q: logits over the vocabulary from hidden states.

    With tied weights (Press and Wolf, 2017) W_hq is the transpose of the embedding's W_e.
    """

    def __init__(self, hidden: int, vocab_size: int, embedding: BookEmbedding | None = None) -> None:
        super().__init__()
        if embedding is None:
            self.W_hq = nn.Parameter(torch.zeros(hidden, vocab_size))
        self.b_q = nn.Parameter(torch.zeros(vocab_size))
        self._tied_to = (embedding,)  # in a tuple, torch does not count its weights as this module's

    def textbook(self) -> Textbook:
        """W_hq (hidden, vocab_size), unless it is the embedding's, and b_q (vocab_size,)."""
        return self.state_dict()

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `textbook` returns."""
        self.load_state_dict({name: weights[name] for name in self.state_dict()})

    def weight(self) -> Tensor:
        """W_hq."""
        (embedding,) = self._tied_to
        return self.W_hq if embedding is None else embedding.W_e.T

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map (..., hidden) to logits (..., vocab_size)."""
        return hidden_states @ self.weight() + self.b_q

    def loss(self, hidden_states: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy of a window, nats per token, a scalar.

        Args:
            hidden_states: (num_steps, batch_size, hidden).
            targets: token ids, int64, (num_steps, batch_size).
        """
        return nn.functional.cross_entropy(self(hidden_states).flatten(0, 1), targets.flatten())

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """-ln p(target) in nats, float64, (rows,), from logits (rows, vocab_size), which may be overwritten."""
        return nn.functional.cross_entropy(logits.float(), targets, reduction="none").double()
