"""One training step: forward, loss, backward, clip, update; on CUDA replayed as one graph."""

import sys
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor

from lstm_lm.core import device as devices
from lstm_lm.core.params import Train
from lstm_lm.core.printable import say
from lstm_lm.model.language_model import FUSED_IN_CPP, LanguageModel, kernel_name
from lstm_lm.model.layer import State
from lstm_lm.model.native_backend import undisturbed
from lstm_lm.tokens.batching import Window
from lstm_lm.training.group import ALONE, Group
from lstm_lm.training.optimizer import OPTIMIZERS, Optimizer


class Step(Protocol):
    """Trains on one window and returns its mean loss (nats per token) and gradient norm, scalar tensors.

    `carried` is the state before the next window, (layers, batch_size, hidden) each, changed in place; `lr` is the
    learning rate.
    """

    carried: State
    optimizer: Optimizer

    def __call__(self, window: Window, lr: float) -> tuple[Tensor, Tensor]: ...


class EagerStep:
    """The step, operation by operation, on this process's rows of the batch: here, `batch_size` is their number."""

    def __init__(self, model: LanguageModel, settings: Train, group: Group = ALONE) -> None:
        self.model, self.group = model, group
        self.model.dropout.part = group
        self.clip = settings.clip
        self.precision = settings.precision
        self.optimizer = OPTIMIZERS[settings.optimizer](list(model.parameters()))
        self.lr = torch.zeros((), device=self.optimizer.parameters[0].device)
        kernel = kernel_name(model.architecture.kernel, self.lr.device, settings.precision)
        self.around = undisturbed if kernel == FUSED_IN_CPP else nullcontext
        self.carried = State(*(zeros.clone() for zeros in model.initial_state(settings.batch_size // group.size)))

    def __call__(self, window: Window, lr: float) -> tuple[Tensor, Tensor]:
        with self.around():
            self.prepare(window, lr)
            return self.train(window.inputs, window.targets)

    def prepare(self, window: Window, lr: float) -> None:
        """Set the learning rate; zero the state unless `window` continues the one before."""
        self.lr.fill_(lr)
        if not window.continues:
            for tensor in self.carried:
                tensor.zero_()

    def train(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The step itself, on token ids (num_steps, batch_size); reads no value on the host."""
        for parameter in self.optimizer.parameters:
            parameter.grad = None
        with devices.autocast(inputs.device, self.precision):
            hidden_states, state = self.model.hidden_states(inputs, self.carried)
            loss = self.model.output.loss(hidden_states, targets)
        loss.backward()
        loss = loss.detach()
        gradients = [parameter.grad for parameter in self.optimizer.parameters if parameter.grad is not None]
        self.group.average([*gradients, loss])
        norm = self.optimizer.update(gradients, self.clip, self.lr)
        for carried, new in zip(self.carried, state.detach(), strict=True):
            carried.copy_(new)
        return loss, norm


class GraphedStep:
    """An `EagerStep` captured once in a CUDA graph and replayed: one launch instead of hundreds.

    The first windows are trained on without a graph, so that cuBLAS, cuDNN and the allocator are set up. The next one
    is captured, which computes nothing, and replayed like all that follow.
    """

    WARM_UP = 3

    def __init__(self, step: EagerStep, num_steps: int) -> None:
        self.step, self.carried, self.optimizer = step, step.carried, step.optimizer
        device, batch_size = step.carried.hidden.device, step.carried.hidden.shape[1]
        self.inputs = torch.zeros(num_steps, batch_size, dtype=torch.int64, device=device)
        self.targets = torch.zeros_like(self.inputs)
        self.windows = 0
        self.side = torch.cuda.Stream()  # one, as cuBLAS keeps a workspace for each stream
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, window: Window, lr: float) -> tuple[Tensor, Tensor]:
        assert window.inputs.shape == self.inputs.shape  # `copy_` would broadcast a window of one step
        self.step.prepare(window, lr)
        self.inputs.copy_(window.inputs)
        self.targets.copy_(window.targets)
        self.windows += 1
        if self.windows == self.WARM_UP + 1:
            self._capture()
        if self.graph is None:
            return self._aside()
        self.graph.replay()
        return self.loss, self.norm

    def _aside(self) -> tuple[Tensor, Tensor]:
        """The eager step on a side stream, as PyTorch requires it before a capture."""
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            result = self.step.train(self.inputs, self.targets)
        torch.cuda.current_stream().wait_stream(self.side)
        return result

    def _capture(self) -> None:
        """Capture the step; if that fails, print why and go on without a graph."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.step.model.dropout.generator(self.inputs.device))
        self.step.model.zero_grad()
        try:
            with torch.cuda.graph(graph, stream=self.side):
                self.loss, self.norm = self.step.train(self.inputs, self.targets)
            self.graph = graph
        except RuntimeError as error:
            self.step.model.dropout.renew_generator()
            first, *_ = str(error).split("\n")
            say(f"no CUDA graph, training step by step: {first}", sys.stderr)


def make_step(model: LanguageModel, settings: Train, group: Group = ALONE) -> Step:
    """The step for the model's device: a graph on CUDA, unless several processes exchange messages in each step."""
    step = EagerStep(model, settings, group)
    graphed = step.carried.hidden.device.type == "cuda" and group.size == 1
    return GraphedStep(step, settings.num_steps) if graphed else step
