"""The long short-term memory as the library has it: torch.nn.LSTM and torch.nn.Linear behind our signatures."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lstm_lm.model.affine import affine
from lstm_lm.model.backend import Backend
from lstm_lm.model.layer import State, Textbook
from lstm_lm.model.loss import linear_cross_entropy

_GATES = "ifco"
"""The textbook's names of the library's blocks, in its order: i, f, g, o."""


class LibraryLSTM(nn.LSTM):
    """torch.nn.LSTM with the signature of `Stack`: token ids stand for one-hot vectors.

    It computes the equations that `BookLayer` documents, with two bias vectors for each gate. Its weights begin uniform
    in (-1/sqrt(hidden), 1/sqrt(hidden)).
    """

    def textbook(self) -> Textbook:
        """The weights of all layers under the textbook's names, as `Stack` has them; the two biases are summed."""
        textbook = {}
        for layer in range(self.num_layers):
            inputs, recurrent, bias, other_bias = (weight.detach() for weight in self._weights(layer))
            suffix = f"_{layer}" if layer else ""
            for gate, W_x, W_h, b in zip(
                _GATES, inputs.chunk(4), recurrent.chunk(4), (bias + other_bias).chunk(4), strict=True
            ):
                textbook |= {
                    f"W_x{gate}{suffix}": W_x.T.contiguous(),
                    f"W_h{gate}{suffix}": W_h.T.contiguous(),
                    f"b_{gate}{suffix}": b.clone(),
                }
        return textbook

    @torch.no_grad()
    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights under the textbook's names; the second bias becomes zero."""
        for layer in range(self.num_layers):
            inputs, recurrent, bias, other_bias = self._weights(layer)
            suffix = f"_{layer}" if layer else ""
            inputs.copy_(torch.cat([weights[f"W_x{gate}{suffix}"].T for gate in _GATES]))
            recurrent.copy_(torch.cat([weights[f"W_h{gate}{suffix}"].T for gate in _GATES]))
            bias.copy_(torch.cat([weights[f"b_{gate}{suffix}"] for gate in _GATES]))
            other_bias.zero_()

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run over a window; see `Stack.forward`."""
        if inputs.ndim == 2:
            inputs = nn.functional.one_hot(inputs, self.input_size).to(state.hidden.dtype)
        outputs, (hidden, cell) = super().forward(inputs, (state.hidden, state.cell))
        return outputs, State(hidden, cell)

    def _weights(self, layer: int) -> list[nn.Parameter]:
        """weight_ih, weight_hh, bias_ih and bias_hh of a layer."""
        return [getattr(self, name) for name in self._all_weights[layer]]


class LibraryLayer(LibraryLSTM):
    """One layer of it with the signature of `Layer`, for a `Stack`."""

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run over a window; see `Layer.forward`."""
        outputs, (hidden, cell) = super().forward(inputs, State(hidden[None], cell[None]))
        return outputs, hidden[0], cell[0]


class LibraryEmbedding(nn.Embedding):
    """torch.nn.Embedding with the textbook's name: its weight is W_e."""

    def textbook(self) -> Textbook:
        """W_e (vocab_size, embedding)."""
        return {"W_e": self.weight.detach().clone()}

    @torch.no_grad()
    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over W_e."""
        self.weight.copy_(weights["W_e"])


class LibraryOutput(nn.Linear):
    """torch.nn.Linear with the textbook's names: its weight is W_hq transposed; where it is tied, the embedding's.

    Args:
        backend: what computes the layer and the loss on a CPU; None: the library, as on every other device.
    """

    def __init__(
        self,
        hidden: int,
        vocab_size: int,
        embedding: LibraryEmbedding | None = None,
        backend: Backend | None = None,
    ) -> None:
        super().__init__(hidden, vocab_size)
        self.backend = backend
        self.tied = embedding is not None
        if embedding is not None:
            self.weight = embedding.weight

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., hidden) to logits (..., vocab_size)."""
        backend = self._backend_for(input)
        return affine(backend, input, self.weight.T, self.bias) if backend else super().forward(input)

    def loss(self, hidden_states: Tensor, targets: Tensor) -> Tensor:
        """See `BookOutput.loss`."""
        if backend := self._backend_for(hidden_states):
            return linear_cross_entropy(backend, hidden_states, self.weight.T, self.bias, targets)
        return nn.functional.cross_entropy(self(hidden_states).flatten(0, 1), targets.flatten())

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `BookOutput.surprisal`."""
        if backend := self._backend_for(logits):
            return backend.surprisal(logits, targets)
        return nn.functional.cross_entropy(logits.float(), targets, reduction="none").double()

    def textbook(self) -> Textbook:
        """W_hq (hidden, vocab_size), unless it is the embedding's, and b_q (vocab_size,)."""
        weight = {} if self.tied else {"W_hq": self.weight.detach().T.contiguous()}
        return weight | {"b_q": self.bias.detach().clone()}

    @torch.no_grad()
    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `textbook` returns."""
        if not self.tied:
            self.weight.copy_(weights["W_hq"].T)
        self.bias.copy_(weights["b_q"])

    def _backend_for(self, tensor: Tensor) -> Backend | None:
        return self.backend if tensor.device.type == "cpu" else None
