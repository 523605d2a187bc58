"""Clocks: interleaved rounds, warm-up, medians and quartiles; one process for each mode of the libraries."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.contestants import CONTESTANTS, Shape, TrainingStep
from lstm_lm.core import device as devices
from lstm_lm.tokens.batching import Window

MODES = ("portable", "native")
"""What `numerics` in params.yaml can be. A process has one of them for all its life."""

CPU = torch.device("cpu")
Clock = Callable[[], float]
"""Does some work once; returns the seconds that it took."""

REST_SECONDS = 0.02
"""Between two turns: for milliseconds after its last work, OpenMP's threads wait awake and take the next one's time."""


WARM_UP_SECONDS = 0.03
"""At the beginning of a turn: after a rest, Linux may leave two threads on one core for 10 milliseconds."""


class Entry(NamedTuple):
    """A contestant in one of the modes."""

    contestant: str
    numerics: str

    def __str__(self) -> str:
        return f"{self.contestant}, {self.numerics}"


def windows(shape: Shape, device: torch.device, count: int = 8) -> list[Window]:
    """An epoch's worth of consecutive windows of random token ids."""
    generator = torch.Generator().manual_seed(0)
    size = (count + 1, shape.num_steps, shape.batch_size)
    tokens = torch.randint(1, shape.vocab_size, size, generator=generator).to(device)
    return [Window(tokens[i], tokens[i + 1], continues=i > 0) for i in range(count)]


def epoch(step: TrainingStep, shape: Shape, device: torch.device, count: int) -> Clock:
    """Times `count` steps, the state carried through them, after steps that bring caches and threads back."""
    data = windows(shape, device, count)

    def action() -> None:
        for window in data:
            step(window)

    return warmed_up(timed(action, device), lambda: step(data[0]), device)


def warmed_up(clock: Clock, work: Callable[[], object], device: torch.device) -> Clock:
    """`clock`, in each turn after some `work` that brings caches and threads back."""

    def turn() -> float:
        start = time.perf_counter()
        while time.perf_counter() - start < WARM_UP_SECONDS:
            work()
            devices.synchronize(device)
        return clock()

    return turn


def timed(action: Callable[[], object], device: torch.device) -> Clock:
    """Times `action` until `device` has done its part."""

    def clock() -> float:
        devices.synchronize(device)
        start = time.perf_counter()
        action()
        devices.synchronize(device)
        return time.perf_counter() - start

    return clock


def interleaved(clocks: Mapping[str, Clock], rounds: int, warm_up: int = 3) -> dict[str, np.ndarray]:
    """The seconds of each clock in each round, one clock after the other within a round, (rounds,) each."""
    seconds = {name: np.zeros(rounds) for name in clocks}
    for number in range(-warm_up, rounds):
        for name, clock in clocks.items():
            time.sleep(REST_SECONDS)
            taken = clock()
            if number >= 0:
                seconds[name][number] = taken
    return seconds


@contextmanager
def processes() -> Iterator[dict[str, Executor]]:
    """A process on the CPU for each of `MODES`: the libraries choose their code once in a process."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        yield {
            mode: stack.enter_context(ProcessPoolExecutor(1, context, devices.configure, (CPU, "fp32", mode)))
            for mode in MODES
        }


def taking_turns(
    pools: Mapping[str, Executor], entries: Iterable[Entry], shape: Shape, steps: int, rounds: int, warm_up: int = 3
) -> dict[str, np.ndarray]:
    """Seconds of `steps` steps of each entry, (rounds,) each. While one process computes, the other waits."""

    def clock(entry: Entry) -> Clock:
        return lambda: pools[entry.numerics].submit(_seconds, entry.contestant, shape, steps).result()

    seconds = interleaved({str(entry): clock(entry) for entry in entries}, rounds, warm_up)
    for pool in pools.values():
        pool.submit(_forget).result()
    return seconds


def _seconds(contestant: str, shape: Shape, steps: int) -> float:
    return _clock(contestant, shape, steps)()


@cache
def _clock(contestant: str, shape: Shape, steps: int) -> Clock:
    return epoch(CONTESTANTS[contestant](shape, CPU), shape, CPU, steps)


def _forget() -> None:
    """Free the models of a shape that is done."""
    _clock.cache_clear()


def quartiles(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles, rounded to four significant digits."""
    q1, median, q3 = (float(f"{value:.4g}") for value in np.percentile(values, [25, 50, 75]))
    return {"median": median, "q1": q1, "q3": q3}


def ratios(results: Mapping[str, Any], pairs: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Speeds over speeds, from medians of one run, where both were measured."""
    speed = {name: result["tokens_per_second"]["median"] for name, result in results.items()}
    return {
        label: round(speed[above] / speed[below], 3)
        for label, (above, below) in pairs.items()
        if above in speed and below in speed
    }


def peak_memory(entry: Entry, shape: Shape) -> float:
    """MiB that a contestant adds to the peak memory of a process, on the CPU (Linux only)."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, devices.configure, (CPU, "fp32", entry.numerics)) as pool:
        return pool.submit(_peak_memory, entry.contestant, shape).result()


def _peak_memory(name: str, shape: Shape) -> float:
    small = Shape(hidden=8, batch_size=2)
    epoch(CONTESTANTS[name](small, CPU), small, CPU, count=2)()  # so that libraries and imports do not count
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak of the imports
    epoch(CONTESTANTS[name](shape, CPU), shape, CPU, count=3)()
    return round((_resident("VmHWM") - before) / 1024, 1)


def _resident(field: str) -> int:
    """The process's resident memory as Linux counts it, in KiB: now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0])
