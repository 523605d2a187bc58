"""The processes that share a training: what they average, what they agree on, what is left to the first of them."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, distributed, nn

_Result = TypeVar("_Result")


class Group(NamedTuple):
    """`size` processes, of which this one is number `rank`, counted from 0; one alone where nothing else is said.

    All of them call the same methods in the same order. A method raises RuntimeError where another process is gone.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Set float32 tensors on one device to their means over the processes, which get the same bytes."""
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
        """The parts of all processes, equal in shape, side by side along `dim`."""
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        distributed.all_gather(parts, part)
        return torch.cat(parts, dim)

    def part(self, whole: Tensor, dim: int) -> Tensor:
        """What this process has of `whole`."""
        return whole.chunk(self.size, dim)[self.rank].clone()  # torch.set_rng_state takes no view

    def from_first(self, work: Callable[[], _Result]) -> _Result:
        """What `work`, which only the first process does, returns."""
        if self.size == 1:
            return work()
        result = [work() if self.is_first else None]
        distributed.broadcast_object_list(result, device=torch.device("cpu"))
        return result[0]  # pyright: ignore[reportReturnType]


ALONE = Group()
