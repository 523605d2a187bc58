"""The share of C++ in a training step from scratch, and what a step costs beside other processes."""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.contestants import CONTESTANTS, Shape
from benchmarks.measure import CPU, Entry, quartiles, taking_turns, windows
from lstm_lm.model import native_backend

COUNTERS = 2
"""Processes that do nothing but count, beside the measured one."""


def share_of_native(shape: Shape, rounds: int) -> dict[str, float]:
    """The share of a step's time that C++ takes. It replaces a function, so it needs a process of its own."""
    call, seconds = native_backend._call, [0.0]

    def timed(*arguments: Any) -> None:
        start = time.perf_counter()
        call(*arguments)
        seconds[0] += time.perf_counter() - start

    step, data, shares = CONTESTANTS["fused in C++, pipeline"](shape, CPU), windows(shape, CPU), []
    with mock.patch.object(native_backend, "_call", timed):
        for _ in range(rounds):
            seconds[0], start = 0.0, time.perf_counter()
            for window in data:
                step(window)
            shares.append(seconds[0] / (time.perf_counter() - start))
    return quartiles(np.array(shares))


def beside_counters(
    pools: Mapping[str, Executor], entries: list[Entry], shape: Shape, rounds: int
) -> dict[str, dict[str, Any]]:
    """Milliseconds of a step alone and beside processes that count, and the ratio of the medians."""
    steps = 8
    alone = taking_turns(pools, entries, shape, steps, rounds)
    with _counting():
        beside = taking_turns(pools, entries, shape, steps, rounds)
    return {
        name: {
            "alone_ms": quartiles(seconds / steps * 1e3),
            "beside_ms": quartiles(beside[name] / steps * 1e3),
            "ratio": round(float(np.median(beside[name]) / np.median(seconds)), 2),
        }
        for name, seconds in alone.items()
    }


@contextmanager
def _counting() -> Iterator[None]:
    """Other processes that keep the cores busy."""
    context = multiprocessing.get_context("spawn")
    counters = [context.Process(target=_count, daemon=True) for _ in range(COUNTERS)]
    for counter in counters:
        counter.start()
    time.sleep(2)  # until they count
    try:
        yield
    finally:
        for counter in counters:
            counter.terminate()
            counter.join()


def _count() -> None:
    number = 0
    while True:
        number += 1
