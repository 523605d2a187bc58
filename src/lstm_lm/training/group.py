"""The processes that share a training: averages, agreements, and what the first one does for all."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, distributed, nn


class Group(NamedTuple):
    """A process group of `size`; this is `rank`, counted from 0. Default: one process.

    All processes must call the same methods in the same order. A method raises RuntimeError where another process has
    ended.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Set float32 tensors on one device to their means over the processes: the same bytes in each."""
        if self.size > 1:
            flat = nn.utils.parameters_to_vector(tensors)
            distributed.all_reduce(flat)
            nn.utils.vector_to_parameters(flat.div_(self.size), tensors)

    def highest(self, *numbers: int) -> list[int]:
        """The largest value of each number in any process."""
        if self.size == 1:
            return list(numbers)
        largest = torch.tensor(numbers)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return largest.tolist()

    def whole(self, part: Tensor, dim: int) -> Tensor:
        """The parts of all processes, of equal shape, concatenated along `dim`."""
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        distributed.all_gather(parts, part)
        return torch.cat(parts, dim)

    def part(self, whole: Tensor, dim: int) -> Tensor:
        """This process's part of `whole`."""
        return whole.chunk(self.size, dim)[self.rank].clone()  # torch.set_rng_state takes no view

    def from_first(self, work: Callable[[], bytes]) -> bytes:
        """Call `work` in the first process alone; return its result in all. Bytes: torch would pickle other objects."""
        if self.size == 1:
            return work()
        content = np.frombuffer(work() if self.is_first else b"", np.uint8)
        message = torch.from_numpy(np.resize(content, self.highest(len(content))))
        distributed.broadcast(message, 0)
        return message.numpy().tobytes()


ALONE = Group()
