"""How many of OpenMP's threads torch computes with."""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def set_count(count: int) -> None:
    """Let torch compute with so many threads what this Python thread asks for.

    `torch.set_num_threads` would give MKL as many, and so undo its pin (`numerics.PINS`).
    """
    _setter()(count)


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Within it, torch has so many threads."""
    before = torch.get_num_threads()
    set_count(count)
    try:
        yield
    finally:
        set_count(before)


@functools.cache
def _setter() -> Callable[[int], object]:
    """The function of the OpenMP library that torch uses; torch's own where it uses none."""
    return getattr(ctypes.CDLL(torch._C.__file__), "omp_set_num_threads", torch.set_num_threads)
