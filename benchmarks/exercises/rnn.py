"""What an LSTM costs beside a plain RNN and a GRU of the same size: counted, and measured in training and in writing.

Each cell is measured twice: from its written-out equations, gate by gate, and as the library has it. Training is a step
of the usual loop at the book's shape; writing is one token after another, one row, without gradients. All contestants
take turns. Writes metrics/benchmark_rnn.json. Takes about a minute on two cores.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import ROOT
from benchmarks.contestants import Shape
from benchmarks.measure import CPU, Clock, epoch, interleaved, quartiles, timed, warmed_up, windows
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.tokens.batching import Window

STEPS = 4
"""Windows that a clock trains on."""
WRITTEN = 100
"""Tokens that a clock writes."""

States = tuple[Tensor, ...]
Gate = Callable[[int, Tensor], Tensor]
"""(number of the gate, what stands beside the input, such as H_{t-1}) -> X_t W_x + H W_h + b of the gate."""


def rnn(gate: Gate, states: States) -> States:
    """H_t = tanh(gate 0)."""
    (H,) = states
    return (torch.tanh(gate(0, H)),)


def gru(gate: Gate, states: States) -> States:
    """Z_t, R_t, then H~_t from R_t * H_{t-1}; H_t = Z_t * H_{t-1} + (1 - Z_t) * H~_t."""
    (H,) = states
    Z, R = torch.sigmoid(gate(0, H)), torch.sigmoid(gate(1, H))
    return (Z * H + (1 - Z) * torch.tanh(gate(2, R * H)),)


def lstm(gate: Gate, states: States) -> States:
    """I_t, F_t, O_t, C~_t; C_t = F_t * C_{t-1} + I_t * C~_t; H_t = O_t * tanh(C_t)."""
    H, C = states
    I, F, O = (torch.sigmoid(gate(number, H)) for number in range(3))
    C = F * C + I * torch.tanh(gate(3, H))
    return O * torch.tanh(C), C


class Cell(NamedTuple):
    """A kind of cell.

    Attributes:
        equations: one time step, written out.
        library: the same in PyTorch.
        gates: affine maps of input and hidden state, the candidate among them.
        states: vectors that go from one time step to the next.
        products: element-wise multiplications of a unit in a time step.
        functions: sigmoids and tanhs of a unit in a time step.
    """

    equations: Callable[[Gate, States], States]
    library: Callable[[int, int], nn.RNNBase]
    gates: int
    states: int
    products: int
    functions: int

    def counts(self, hidden: int, vocab_size: int) -> dict[str, int]:
        """Parameters, with one bias for each gate as in the book, and the work of one token forward.

        A one-hot vector's product is a row of the weights, so it takes no multiplication.
        """
        recurrent, output = self.gates * hidden * hidden, hidden * vocab_size
        return {
            "parameters": recurrent + self.gates * hidden * (vocab_size + 1) + output + vocab_size,
            "multiplications": recurrent + self.products * hidden + output,
            "functions": self.functions * hidden,
            "state": self.states * hidden,
        }


CELLS = {
    "RNN": Cell(rnn, nn.RNN, gates=1, states=1, products=0, functions=1),
    "GRU": Cell(gru, nn.GRU, gates=3, states=1, products=3, functions=3),
    "LSTM": Cell(lstm, nn.LSTM, gates=4, states=2, products=3, functions=5),
}


class Written(nn.Module):
    """A language model from a cell's written-out equations. Weights N(0, 0.01^2), biases 0, as in the book."""

    def __init__(self, cell: Cell, shape: Shape) -> None:
        super().__init__()
        self.cell, self.sizes = cell, shape

        def weights(rows: int) -> nn.ParameterList:
            return nn.ParameterList(torch.randn(rows, shape.hidden) * 0.01 for _ in range(cell.gates))

        self.W_x, self.W_h = weights(shape.vocab_size), weights(shape.hidden)
        self.b = nn.ParameterList(torch.zeros(shape.hidden) for _ in range(cell.gates))
        self.output = nn.Linear(shape.hidden, shape.vocab_size)

    def initial_states(self, batch_size: int) -> States:
        """Zeros, (batch_size, hidden) each."""
        return tuple(torch.zeros(batch_size, self.sizes.hidden) for _ in range(self.cell.states))

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """Token ids (num_steps, batch_size) to logits (num_steps, batch_size, vocab_size) and the states after them."""
        outputs = []
        for X in nn.functional.one_hot(tokens, self.sizes.vocab_size).float():
            states = self.cell.equations(lambda k, H, X=X: X @ self.W_x[k] + H @ self.W_h[k] + self.b[k], states)
            outputs.append(states[0])
        return self.output(torch.stack(outputs)), states


class Library(nn.Module):
    """The same model with the library's cell."""

    def __init__(self, cell: Cell, shape: Shape) -> None:
        super().__init__()
        self.cell, self.sizes = cell, shape
        self.layer = cell.library(shape.vocab_size, shape.hidden)
        self.output = nn.Linear(shape.hidden, shape.vocab_size)

    def initial_states(self, batch_size: int) -> States:
        """Zeros, (1, batch_size, hidden) each."""
        return tuple(torch.zeros(1, batch_size, self.sizes.hidden) for _ in range(self.cell.states))

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """See `Written.forward`."""
        inputs = nn.functional.one_hot(tokens, self.sizes.vocab_size).float()
        single = self.cell.states == 1  # the library takes and returns a tensor, not a tuple of one
        outputs, after = self.layer(inputs, states[0] if single else states)
        return self.output(outputs), (after,) if single else after


MODELS: dict[str, type[Written] | type[Library]] = {"equations": Written, "library": Library}


def training(model: Written | Library, shape: Shape) -> Clock:
    """Times `STEPS` steps of the usual loop, the states carried through them."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    states = model.initial_states(shape.batch_size)

    def step(window: Window) -> None:
        nonlocal states
        logits, after = model(window.inputs, states)
        states = tuple(state.detach() for state in after)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return epoch(step, shape, CPU, STEPS)


def writing(model: Written | Library, shape: Shape) -> Clock:
    """Times `WRITTEN` tokens, each the likeliest after the one before."""
    first = windows(shape, CPU, 1)[0].inputs[:1, :1]

    @torch.no_grad()
    def action() -> None:
        token, states = first, model.initial_states(1)
        for _ in range(WRITTEN):
            logits, states = model(token, states)
            token = logits.argmax(-1)

    return warmed_up(timed(action, CPU), action, CPU)


def measure(shape: Shape, rounds: int = 30) -> dict[str, Any]:
    """Counts and milliseconds of each cell: of a training step, and of a written token."""
    clocks: dict[str, Clock] = {}
    for cell in CELLS:
        for way, model in MODELS.items():
            clocks[f"{cell}, {way}, training"] = training(model(CELLS[cell], shape), shape)
            clocks[f"{cell}, {way}, writing"] = writing(model(CELLS[cell], shape), shape)
    seconds = interleaved(clocks, rounds, warm_up=1)
    return {
        "measured_on": devices.measured_on(CPU),
        "hidden": shape.hidden,
        "counted": {name: cell.counts(shape.hidden, shape.vocab_size) for name, cell in CELLS.items()},
        "milliseconds": {name: quartiles(_each(name, taken) * 1e3) for name, taken in seconds.items()},
    }


def _each(name: str, seconds: np.ndarray) -> np.ndarray:
    return seconds / (STEPS if name.endswith("training") else WRITTEN)


def main() -> None:
    """Measure at the book's shape; write JSON."""
    devices.configure(CPU, "fp32", "native")
    write_json(ROOT / "metrics/benchmark_rnn.json", measure(Shape()))


if __name__ == "__main__":
    main()
