"""The losses and gradient norms of an epoch, on the device."""

import math

import torch
from torch import Tensor

from lstm_lm.core.params import Train


class Diverged(ValueError):
    """The loss, its gradient or the perplexity is not finite."""


class Losses:
    """Losses and gradient norms of the current epoch's windows.

    Args:
        windows: the most that an epoch can have.
        settings: the `train` section of params.yaml, for advice in messages.
        device: where the numbers are kept.
    """

    def __init__(self, windows: int, settings: Train, device: torch.device) -> None:
        self.losses, self.norms = torch.empty(windows, device=device), torch.empty(windows, device=device)
        self.settings, self.epoch, self.done = settings, 1, 0

    def begin(self, epoch: int) -> None:
        """Begin an epoch, counted from 1."""
        self.epoch, self.done = epoch, 0

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Add the next window, scalars."""
        self.losses[self.done], self.norms[self.done] = loss, norm
        self.done += 1

    def state(self) -> dict[str, Tensor]:
        """The values so far, (windows,) each."""
        return {"losses": self.losses[: self.done], "norms": self.norms[: self.done]}

    def restore(self, epoch: int, state: dict[str, Tensor]) -> None:
        """Set values that `state` returned, in an epoch counted from 1."""
        self.epoch, self.done = epoch, len(state["losses"])
        for own, saved in zip(self.state().values(), state.values(), strict=True):
            own.copy_(saved)

    def sum(self) -> float:
        """The sum of the losses so far, float64; this waits for the device.

        Raises:
            Diverged: a loss or a norm is not finite.
        """
        losses, norms = torch.stack(tuple(self.state().values())).cpu().double()
        bad = (~torch.isfinite(losses + norms)).nonzero()
        if len(bad):
            raise self.diverged(int(bad[0]))
        return math.fsum(losses.tolist())

    def finite(self, perplexity: float) -> float:
        """Return a perplexity. Raises Diverged if it is not finite."""
        if not math.isfinite(perplexity):
            raise self.diverged(self.done - 1)
        return perplexity

    def diverged(self, window: int) -> Diverged:
        """The exception for a window in which the training diverged."""
        norms = self.norms[: window + 1].tolist()
        return Diverged(
            f"the training diverged at epoch {self.epoch}, batch {window + 1}: "
            f"loss {self.losses[window]:.3g}, gradient norm {norms[-1]:.3g} "
            f"(the largest in this epoch before it: {max(norms[:-1], default=0.0):.3g}); {self.advice}"
        )

    @property
    def advice(self) -> str:
        """Which parameters to change against divergence."""
        return f"lower train.lr ({self.settings.lr:g}) or train.clip ({self.settings.clip:g})"
