"""What `make gpu` is to measure, and until when; a part that fails or has no time left does not keep others from it."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from types import FrameType
from typing import Any

import torch

from benchmarks.contestants import Shape
from lstm_lm.core.params import Params

NO_TIME = "skipped: no time left"


@dataclass(frozen=True)
class Plan:
    """What is measured on which device, and until when.

    Attributes:
        device: the device that computes.
        params: the parameters of the trainings.
        sizes: hidden units of the grid, the default ones first.
        batch_sizes: rows of a batch in the grid, the default ones first.
        words: the shapes of models over words, by name.
        recipes: the parameters of recipes that are trained for an epoch, by name.
        rounds: interleaved rounds of eight steps.
        deadline: the reading of `time.monotonic` after which nothing more begins.
    """

    device: torch.device
    params: Params
    sizes: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    words: Mapping[str, Shape]
    recipes: Mapping[str, dict[str, Any]]
    rounds: int
    deadline: float

    @property
    def shapes(self) -> list[Shape]:
        """The cells of the grid, the default shape first."""
        steps = self.params.train.num_steps
        return [Shape(hidden, batch_size, steps) for hidden, batch_size in product(self.sizes, self.batch_sizes)]

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


def attempt(part: Callable[[Plan], Any], plan: Plan) -> Any:
    """What `part` measures, or why it could not: the parts after it go on."""
    if plan.left <= 0:
        return NO_TIME
    try:
        return part(plan)
    except (TimeoutError, subprocess.TimeoutExpired):
        return NO_TIME
    except (ImportError, LookupError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        first, *_ = str(error).split("\n")
        return f"failed: {first}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so many seconds: a compiler may take longer than all that is left."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise TimeoutError("no time left")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
