"""Optimisers, in C++ where its kernels support the tensors, else in PyTorch.

Tests compare them with torch.optim, which is not used here: it imports torch's compiler, which takes seconds.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lstm_lm.model import native_backend


class Optimizer:
    """Updates weights by gradients that are clipped by their global norm.

    Args:
        parameters: the weights, on one device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)

    @torch.no_grad()
    def update(self, gradients: list[Tensor], bound: float, lr: Tensor) -> Tensor:
        """Update the weights; `gradients`, one for each parameter, may be overwritten.

        Args:
            gradients: of the shapes and types of the parameters.
            bound: for the gradients' global norm.
            lr: the learning rate, a scalar tensor on the parameters' device. A GPU's value is not read on the host.

        Returns:
            The norm before clipping, a scalar tensor.
        """
        if native_backend.supports(*self.parameters):
            return torch.tensor(self._update_native(gradients, bound, lr.item()), dtype=lr.dtype)
        scale, norm = clipping(gradients, bound)
        self._update(gradients, scale, lr)
        return norm

    def state(self) -> dict[str, Tensor]:
        """The optimiser's own tensors, to be saved and, in place, restored."""
        return {}

    def _update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
        """`update` in PyTorch; the gradients still have to be multiplied by `scale`."""
        raise NotImplementedError

    def _update_native(self, gradients: list[Tensor], bound: float, lr: float) -> float:
        """`update` in C++."""
        raise NotImplementedError


def clipping(gradients: list[Tensor], bound: float) -> tuple[Tensor, Tensor]:
    """The factor that clips gradients by their global norm, and the norm: g <- min(1, theta / |g|) g.

    This is the textbook's formula without its branch, so that nothing waits for the device
    (`torch.nn.utils.clip_grad_norm_` divides by norm + 1e-6).

    Returns:
        min(1, bound / norm) and the norm, scalar tensors on the device.
    """
    norm = nn.utils.get_total_norm(gradients, foreach=True)
    return torch.clamp(bound / norm, max=1.0), norm


class SGD(Optimizer):
    """Stochastic gradient descent: w <- w - lr g."""

    def _update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
        torch._foreach_mul_(gradients, lr * scale)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_sub_(list[Tensor](self.parameters), gradients)  # pyright: ignore[reportPrivateImportUsage]

    def _update_native(self, gradients: list[Tensor], bound: float, lr: float) -> float:
        return native_backend.sgd(self.parameters, gradients, bound, lr)


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
        # Powers of the betas, on the device: a captured CUDA graph cannot count steps on the host.
        self.powers = torch.ones(2, dtype=torch.float64, device=self.parameters[0].device)
        self.betas = torch.tensor([self.BETA_1, self.BETA_2], dtype=torch.float64, device=self.powers.device)

    def _update(self, gradients: list[Tensor], scale: Tensor, lr: Tensor) -> None:
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

    def _update_native(self, gradients: list[Tensor], bound: float, lr: float) -> float:
        self.powers.mul_(self.betas)
        mean_bias, square_bias = (1 - self.powers).tolist()
        constants = (self.BETA_1, self.BETA_2, self.EPSILON, lr / mean_bias, math.sqrt(square_bias))
        return native_backend.adam(self.parameters, gradients, self.means, self.squares, bound, constants)

    def state(self) -> dict[str, Tensor]:
        """The averages, numbered like the parameters, and the powers."""
        named = {"mean": self.means, "square": self.squares}
        averages = {f"{name}{i}": tensor for name, tensors in named.items() for i, tensor in enumerate(tensors)}
        return averages | {"powers": self.powers}


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
"""`train.optimizer` -> the optimiser."""
