"""Clocks: interleaved rounds, warm-up, medians and quartiles; the products that no LSTM can do without."""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from contestants import CONTESTANTS, VOCAB_SIZE, Shape, TrainingStep
from lstm_lm import device as devices
from lstm_lm.tokens.batching import Window


def windows(shape: Shape, device: torch.device, count: int = 8) -> list[Window]:
    """An epoch's worth of consecutive windows of random token ids."""
    generator = torch.Generator().manual_seed(0)
    size = (count + 1, shape.num_steps, shape.batch_size)
    tokens = torch.randint(1, VOCAB_SIZE, size, generator=generator).to(device)
    return [Window(tokens[i], tokens[i + 1], continues=i > 0) for i in range(count)]


def interleaved(
    actions: Mapping[str, Callable[[], object]], device: torch.device, rounds: int, warm_up: int = 3
) -> dict[str, np.ndarray]:
    """Seconds that each action took in each round, one after the other within a round, (rounds,) each."""
    seconds = {name: np.zeros(rounds) for name in actions}
    for number in range(-warm_up, rounds):
        for name, action in actions.items():
            devices.synchronize(device)
            start = time.perf_counter()
            action()
            devices.synchronize(device)
            if number >= 0:
                seconds[name][number] = time.perf_counter() - start
    return seconds


def epoch(step: TrainingStep, shape: Shape, device: torch.device, count: int = 8) -> Callable[[], None]:
    """An action: `count` steps, the state carried through them."""
    data = windows(shape, device, count)

    def action() -> None:
        for window in data:
            step(window)

    return action


def products(shape: Shape, device: torch.device) -> Callable[[], None]:
    """An action: the matrix products of one training step and nothing else, in the shapes that the step needs.

    Forward and backward one (batch_size, hidden) x (hidden, 4 hidden) and its transpose for each time step,
    which must wait for one another; one product for the recurrent weights' gradient.
    """
    T, B, H = shape.num_steps, shape.batch_size, shape.hidden
    state, gates = torch.randn(B, H, device=device), torch.randn(B, 4 * H, device=device)
    weights = torch.randn(H, 4 * H, device=device)
    states, all_gates = torch.randn(T * B, H, device=device), torch.randn(T * B, 4 * H, device=device)

    def action() -> None:
        for _ in range(T):
            torch.mm(state, weights)
        for _ in range(T):
            torch.mm(gates, weights.T)
        torch.mm(states.T, all_gates)

    return action


def quartiles(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles, rounded to four significant digits."""
    q1, median, q3 = (float(f"{value:.4g}") for value in np.percentile(values, [25, 50, 75]))
    return {"median": median, "q1": q1, "q3": q3}


def peak_memory(name: str, shape: Shape, device: torch.device) -> float:
    """MiB that a contestant needs at most: what it allocates on the GPU, else how much a process grows (on Linux)."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory, (name, shape, device))


def _peak_memory(name: str, shape: Shape, device: torch.device) -> float:
    small = Shape(hidden=8, batch_size=2)
    epoch(CONTESTANTS[name](small, device), small, device, count=2)()  # libraries and imports are not the step's
    if device.type == "cuda":
        epoch(CONTESTANTS[name](shape, device), shape, device, count=3)()
        return round(devices.peak_memory(device) / 2**20, 1)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak of the imports
    epoch(CONTESTANTS[name](shape, device), shape, device, count=3)()
    return round((_resident("VmHWM") - before) / 1024, 1)


def _resident(field: str) -> int:
    """The process's resident memory as Linux counts it, in KiB: now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0])
