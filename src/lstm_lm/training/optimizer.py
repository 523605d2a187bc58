"""Optimisers: how gradients change the weights; torch's own are the reference in tests.

torch.optim's first use imports torch's compiler, seconds of every start.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Optimizer:
    """Changes weights by their gradients; nothing is read on the host.

    Args:
        parameters: the weights, on one device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)

    def update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
        """One step along `gradients`, one for each parameter, which are overwritten.

        `scale` is what to multiply them by, `lr` the learning rate, scalar tensors.
        """
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """What the next step needs beside the weights, to be saved and, in place, restored."""
        return {}


class SGD(Optimizer):
    """Stochastic gradient descent: w <- w - lr g."""

    @torch.no_grad()
    def update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
        """See `Optimizer.update`."""
        torch._foreach_mul_(gradients, lr * scale)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_sub_(list[Tensor](self.parameters), gradients)  # pyright: ignore[reportPrivateImportUsage]


class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015), with its paper's constants, for step t = 1, 2, ...:

    m <- beta_1 m + (1 - beta_1) g;  v <- beta_2 v + (1 - beta_2) g^2
    w <- w - lr (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__(parameters)
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        # Powers of the betas as numbers on the device: a captured graph must not hold the number of a step.
        self.powers = torch.ones(2, dtype=torch.float64, device=self.parameters[0].device)
        self.betas = torch.tensor([self.BETA_1, self.BETA_2], dtype=torch.float64, device=self.powers.device)

    @torch.no_grad()
    def update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
        """See `Optimizer.update`."""
        torch._foreach_mul_(gradients, scale)  # pyright: ignore[reportPrivateImportUsage]
        self.powers.mul_(self.betas)
        mean_bias, square_bias = (1 - self.powers).unbind()
        torch._foreach_lerp_(self.means, gradients, 1 - self.BETA_1)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(self.squares, self.BETA_2)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_addcmul_(self.squares, gradients, gradients, value=1 - self.BETA_2)  # pyright: ignore[reportPrivateImportUsage]
        scales = torch._foreach_sqrt(self.squares)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_div_(scales, square_bias.sqrt())  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(scales, self.EPSILON)  # pyright: ignore[reportPrivateImportUsage]
        steps = torch._foreach_div(self.means, scales)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(steps, (lr / mean_bias).to(lr.dtype))  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_sub_(list[Tensor](self.parameters), steps)  # pyright: ignore[reportPrivateImportUsage]

    def state(self) -> dict[str, Tensor]:
        """The averages, by the number of the parameter, and the powers."""
        named = {"mean": self.means, "square": self.squares}
        averages = {f"{name}{i}": tensor for name, tensors in named.items() for i, tensor in enumerate(tensors)}
        return averages | {"powers": self.powers}


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
"""`train.optimizer` -> the optimiser."""
