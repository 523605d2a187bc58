"""What is measured: training steps that compute the same thing in different ways."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks import ROOT
from lstm_lm.core import threads
from lstm_lm.core.params import Params, Train, load_params
from lstm_lm.model.language_model import Architecture, build, scratch_start, thread_count
from lstm_lm.model.layer import State
from lstm_lm.model.native_backend import computes
from lstm_lm.tokens.batching import Window
from lstm_lm.training.step import EagerStep, make_step

PARAMS = ROOT / "params.yaml"
PRODUCTS = "matrix products alone"
FLASHRNN = "flashrnn alone, bf16"

TrainingStep = Callable[[Window], object]


@dataclass(frozen=True)
class Shape:
    """The size of a step: `batch_size * num_steps` tokens through `hidden` units."""

    hidden: int = 256
    batch_size: int = 32
    num_steps: int = 35
    vocab_size: int = 28
    layers: int = 1
    embedding: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens trained on in one step."""
        return self.batch_size * self.num_steps

    def settings(self, precision: str) -> Train:
        """The training settings of params.yaml, in this shape."""
        sizes = {"batch_size": self.batch_size, "num_steps": self.num_steps, "precision": precision}
        return load_params(PARAMS).train.model_copy(update=sizes)


def pipeline_step(
    kind: str, kernel: str, shape: Shape, device: torch.device, precision: str = "fp32", eager: bool = False
) -> TrainingStep:
    """The step as the pipeline takes it: captured in a CUDA graph where there is one, unless `eager`."""
    model = build(kind, shape.vocab_size, _params(shape, kernel)).to(device)
    settings = shape.settings(precision)
    step = (EagerStep if eager else make_step)(model, settings)

    def train_on(window: Window) -> None:
        with threads.limited(thread_count(model.architecture)):
            step(window, settings.lr)

    return train_on


def products(shape: Shape, device: torch.device) -> TrainingStep:
    """The matrix products of one training step and nothing else.

    For each time step (batch_size, hidden) x (hidden, 4 hidden) forward, and back with the transpose, each after the
    one before it; then one product for the recurrent weights' gradient.
    """
    T, B, H = shape.num_steps, shape.batch_size, shape.hidden
    state, gates = torch.randn(B, H, device=device), torch.randn(B, 4 * H, device=device)
    weights = torch.randn(H, 4 * H, device=device)
    states, all_gates = torch.randn(T * B, H, device=device), torch.randn(T * B, 4 * H, device=device)

    def step(_window: Window) -> None:
        for _ in range(T):
            torch.mm(state, weights)
        for _ in range(T):
            torch.mm(gates, weights.T)
        torch.mm(states.T, all_gates)

    return step


def library_alone(shape: Shape, device: torch.device) -> TrainingStep:
    """nn.LSTM forward and backward and nothing else: no loop around it can take less."""
    lstm = nn.LSTM(shape.vocab_size, shape.hidden).to(device)
    inputs = torch.zeros(shape.num_steps, shape.batch_size, shape.vocab_size, device=device)
    inputs[..., 1] = 1
    d_outputs = torch.ones(shape.num_steps, shape.batch_size, shape.hidden, device=device)

    def step(_window: Window) -> None:
        lstm.zero_grad()
        outputs, _ = lstm(inputs)
        outputs.backward(d_outputs)

    return step


def flashrnn_alone(shape: Shape, device: torch.device) -> TrainingStep:
    """The package flashrnn's LSTM forward and backward and nothing else, from its gates' inputs on, in bfloat16."""
    from flashrnn import flashrnn  # pyright: ignore[reportMissingImports]

    def random(*size: int) -> Tensor:
        return (0.1 * torch.randn(size, device=device)).bfloat16().requires_grad_()

    inputs = random(shape.batch_size, shape.num_steps, 4, 1, shape.hidden)  # batch, time, gate, head, unit
    weights, biases = random(4, 1, shape.hidden, shape.hidden), random(4, 1, shape.hidden)
    state = random(2, shape.batch_size, 1, 1, shape.hidden)
    backend = "cuda_fused" if device.type == "cuda" else "vanilla"

    def step(_window: Window) -> None:
        for tensor in (inputs, weights, biases, state):
            tensor.grad = None
        states, _ = flashrnn(inputs, weights, biases, states=state, function="lstm", backend=backend)
        states[0].backward(torch.ones_like(states[0]))

    return step


def library_step(shape: Shape, device: torch.device) -> TrainingStep:
    """nn.LSTM in the usual PyTorch loop: clip_grad_norm_ and SGD, nothing read on the host, no graph."""
    model = build("concise", shape.vocab_size, _params(shape)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    state = model.initial_state(shape.batch_size)

    def step(window: Window) -> None:
        nonlocal state
        logits, state = model(window.inputs, state.detach())
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def textbook_concise_loop(shape: Shape, device: torch.device) -> TrainingStep:
    """nn.LSTM as the textbook trains it: its clipping parameter by parameter, the loss read after each batch."""
    model = build("concise", shape.vocab_size, _params(shape)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    parameters = list(model.parameters())

    def forward(inputs: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = model(inputs, state)
        return logits.flatten(0, 1), state

    def update() -> None:
        _textbook_clip(parameters)
        optimizer.step()

    return _textbook_loop(forward, parameters, model.initial_state(shape.batch_size), update)


def textbook_scratch_loop(shape: Shape, device: torch.device) -> TrainingStep:
    """The textbook's own LSTM: one-hot products for each gate, the output layer in the loop, plain updates."""
    start = scratch_start(Architecture(kernel="book", vocab_size=shape.vocab_size, hidden=shape.hidden), 0)
    weights = {name: weight.to(device).requires_grad_() for name, weight in start.items()}
    parameters = list(weights.values())

    def gate(name: str, X: Tensor, H: Tensor) -> Tensor:
        return X @ weights[f"W_x{name}"] + H @ weights[f"W_h{name}"] + weights[f"b_{name}"]

    def forward(inputs: Tensor, state: State) -> tuple[Tensor, State]:
        H, C = state
        outputs = []
        for X in nn.functional.one_hot(inputs, shape.vocab_size).float():
            C = torch.sigmoid(gate("f", X, H)) * C + torch.sigmoid(gate("i", X, H)) * torch.tanh(gate("c", X, H))
            H = torch.sigmoid(gate("o", X, H)) * torch.tanh(C)
            outputs.append(H @ weights["W_hq"] + weights["b_q"])
        return torch.cat(outputs), State(H, C)

    @torch.no_grad()
    def update() -> None:
        _textbook_clip(parameters)
        for parameter in parameters:
            assert parameter.grad is not None
            parameter -= parameter.grad

    zeros = torch.zeros(shape.batch_size, shape.hidden, device=device)
    return _textbook_loop(forward, parameters, State(zeros, zeros), update)


def _params(shape: Shape, kernel: str = "fused") -> Params:
    sizes = {"model.hidden": shape.hidden, "model.layers": shape.layers, "model.embedding": shape.embedding}
    return load_params(PARAMS).changed({**sizes, "seed": 0, "scratch.kernel": kernel})


def _textbook_loop(
    forward: Callable[[Tensor, State], tuple[Tensor, State]],
    parameters: list[Tensor] | list[nn.Parameter],
    state: State,
    update: Callable[[], None],
) -> TrainingStep:
    """One batch of the textbook's loop, which reads the loss as a Python number each time."""
    nats = 0.0

    def step(window: Window) -> None:
        nonlocal state, nats
        logits, state = forward(window.inputs, state.detach())
        loss = nn.functional.cross_entropy(logits, window.targets.flatten())
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        update()
        nats += float(loss.detach() * window.targets.numel())

    return step


def _textbook_clip(parameters: list[Tensor] | list[nn.Parameter]) -> None:
    """Scale the gradients by 1 / norm if the norm is above 1. The host waits for the norm, to take the branch."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.sqrt(sum((torch.sum(gradient**2) for gradient in gradients), start=gradients[0].new_zeros(())))
    if norm > 1:
        for gradient in gradients:
            gradient[:] *= 1 / norm


def contestants(device: torch.device) -> list[str]:
    """The ways of training in CONTESTANTS that `device` can run."""
    native = computes(device)
    return [name for name in CONTESTANTS if name not in (PRODUCTS, FLASHRNN) and (native or "C++" not in name)]


CONTESTANTS: dict[str, Callable[[Shape, torch.device], TrainingStep]] = {
    "textbook loop, scratch": textbook_scratch_loop,
    "textbook loop, nn.LSTM": textbook_concise_loop,
    "nn.LSTM alone, no loop": library_alone,
    "nn.LSTM, usual loop": library_step,
    "nn.LSTM, pipeline": lambda shape, device: pipeline_step("concise", "fused", shape, device),
    "book, pipeline": lambda shape, device: pipeline_step("scratch", "book", shape, device),
    "fused in PyTorch, pipeline": lambda shape, device: pipeline_step("scratch", "fused_pytorch", shape, device),
    "fused in C++, pipeline": lambda shape, device: pipeline_step("scratch", "fused", shape, device),
    FLASHRNN: flashrnn_alone,
    PRODUCTS: products,
}
"""Name -> what makes the step that is measured."""
