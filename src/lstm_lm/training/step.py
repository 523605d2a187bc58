"""One training step: forward, loss, backward, clip, update; on CUDA replayed as one graph."""

import sys
from typing import Protocol

import torch
from torch import Tensor, nn

from lstm_lm import device as devices
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.lstm_scratch import LSTMState
from lstm_lm.params import Train
from lstm_lm.tokens.batching import Window


def clip_gradients(parameters: list[nn.Parameter], bound: float) -> Tensor:
    """Scale all gradients by min(1, bound / norm), norm being the global one: g <- min(1, theta / |g|) g.

    This is the textbook's formula without its branch, so that nothing waits for the device
    (`torch.nn.utils.clip_grad_norm_` divides by norm + 1e-6).

    Returns:
        The norm before clipping, a scalar tensor on the device.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients, foreach=True)
    torch._foreach_mul_(gradients, torch.clamp(bound / norm, max=1.0))  # pyright: ignore[reportPrivateImportUsage]
    return norm


@torch.no_grad()
def descend(parameters: list[nn.Parameter], lr: float) -> None:
    """Stochastic gradient descent: w <- w - lr g.

    The numbers are torch.optim.SGD's, whose first use imports torch's compiler, seconds of every start.
    """
    moving: list[Tensor] = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_add_(moving, gradients, alpha=-lr)  # pyright: ignore[reportPrivateImportUsage]


class Step(Protocol):
    """Trains on one window and returns its mean loss (nats per token) and gradient norm, scalar tensors."""

    state: LSTMState

    def __call__(self, window: Window) -> tuple[Tensor, Tensor]: ...


class EagerStep:
    """The step, operation by operation. `state` holds what is carried to the next window, in place."""

    def __init__(self, model: LanguageModel, settings: Train) -> None:
        self.model = model
        self.lr = settings.lr
        self.clip = settings.clip
        self.precision = settings.precision
        self.parameters = list(model.parameters())
        self.state = LSTMState(*(zeros.clone() for zeros in model.initial_state(settings.batch_size)))

    def __call__(self, window: Window) -> tuple[Tensor, Tensor]:
        if not window.continues:
            self.reset()
        return self.train(window.inputs, window.targets)

    def reset(self) -> None:
        """Back to the zero state."""
        for tensor in self.state:
            tensor.zero_()

    def train(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The step itself, on token ids of shape (num_steps, batch_size): no value is read on the host."""
        self.model.zero_grad()
        with devices.autocast(inputs.device, self.precision):
            logits, state = self.model(inputs, self.state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        loss.backward()
        norm = clip_gradients(self.parameters, self.clip)
        descend(self.parameters, self.lr)
        for carried, new in zip(self.state, state, strict=True):
            carried.copy_(new.detach())
        return loss.detach(), norm


class GraphedStep:
    """An `EagerStep` captured once in a CUDA graph and replayed: one launch instead of hundreds.

    Capturing trains the model a few times on padding; whoever captures puts the weights back.
    """

    WARM_UP = 3  # steps before the capture, for cuBLAS, cuDNN and the allocator to settle

    def __init__(self, step: EagerStep, num_steps: int) -> None:
        self.step = step
        self.state = step.state
        device, batch_size = step.state.hidden.device, step.state.hidden.shape[0]
        self.inputs = torch.zeros(num_steps, batch_size, dtype=torch.int64, device=device)
        self.targets = torch.zeros_like(self.inputs)
        self._warm_up()
        self.graph = torch.cuda.CUDAGraph()
        step.model.zero_grad()
        with torch.cuda.graph(self.graph):
            self.loss, self.norm = step.train(self.inputs, self.targets)
        step.reset()

    def _warm_up(self) -> None:
        """Run a few steps on a side stream, as a capture requires."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.WARM_UP):
                self.step.train(self.inputs, self.targets)
        torch.cuda.current_stream().wait_stream(side)

    def __call__(self, window: Window) -> tuple[Tensor, Tensor]:
        if not window.continues:
            self.step.reset()
        self.inputs.copy_(window.inputs)
        self.targets.copy_(window.targets)
        self.graph.replay()
        return self.loss, self.norm


def make_step(model: LanguageModel, settings: Train) -> Step:
    """The fastest step that `model`'s device can do; says so where a CUDA graph cannot be captured."""
    step = EagerStep(model, settings)
    if step.state.hidden.device.type != "cuda":
        return step
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    try:
        return GraphedStep(step, settings.num_steps)
    except RuntimeError as error:
        print(f"no CUDA graph, training step by step: {str(error).splitlines()[0]}", file=sys.stderr)
        return EagerStep(model, settings)
    finally:
        model.load_state_dict(start)  # the warm-up trained on padding
