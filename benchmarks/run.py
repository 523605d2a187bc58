"""`make bench`: the speed of each way of training on the CPU, side by side, and how the cost grows.

Writes metrics/benchmark_cpu.json and plots/benchmark_cpu.png. Each mode of the libraries (`numerics` in params.yaml)
has a process. All contestants take turns, so their ratios hold although the machine's speed varies. What a
step costs beside other processes is measured after what it costs alone.
"""

import json
from collections.abc import Mapping
from concurrent.futures import Executor
from itertools import product
from typing import Any

import numpy as np

from benchmarks import ROOT, picture, step
from benchmarks.contestants import PRODUCTS, Shape, contestants
from benchmarks.measure import (
    CPU,
    MODES,
    Entry,
    peak_memory,
    processes,
    quartiles,
    ratios,
    taking_turns,
)
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.model.native_backend import computes

ROUNDS = 30
HIDDEN = (64, 128, 256, 512, 1024)
BATCH_SIZES = (1, 32, 1024)
ENTRIES = (
    Entry("textbook loop, scratch", "native"),
    Entry("textbook loop, nn.LSTM", "native"),
    Entry("nn.LSTM alone, no loop", "native"),
    Entry("nn.LSTM, usual loop", "portable"),
    Entry("nn.LSTM, usual loop", "native"),
    Entry("nn.LSTM, pipeline", "portable"),
    Entry("nn.LSTM, pipeline", "native"),
    Entry("book, pipeline", "portable"),
    Entry("fused in PyTorch, pipeline", "portable"),
    Entry("fused in C++, pipeline", "portable"),
    Entry("fused in C++, pipeline", "native"),
)
GRID_ENTRIES = (
    Entry("nn.LSTM, pipeline", "native"),
    Entry("nn.LSTM, pipeline", "portable"),
    Entry("fused in PyTorch, pipeline", "portable"),
    Entry("fused in C++, pipeline", "portable"),
)
STACK_ENTRIES = (
    Entry("nn.LSTM, pipeline", "native"),
    Entry("nn.LSTM, pipeline", "portable"),
    Entry("fused in C++, pipeline", "portable"),
)
LAYERS = (1, 2)
STACK_HIDDEN = (200, 256, 650)
VOCABULARIES = (28, 65, 10000)
MANY_TYPES = 1000
"""A larger vocabulary has an embedding instead of one-hot vectors."""

FLOOR = Entry(PRODUCTS, "native")
RATIOS = {
    "fused in C++ over nn.LSTM, both portable": ("fused in C++, pipeline, portable", "nn.LSTM, usual loop, portable"),
    "fused in C++, portable, over nn.LSTM, native": (
        "fused in C++, pipeline, portable",
        "nn.LSTM, usual loop, native",
    ),
    "fused in C++ over nn.LSTM in the pipeline, both portable": (
        "fused in C++, pipeline, portable",
        "nn.LSTM, pipeline, portable",
    ),
    "fused in C++, portable, over nn.LSTM in the pipeline, native": (
        "fused in C++, pipeline, portable",
        "nn.LSTM, pipeline, native",
    ),
    "fused in C++, portable over native": ("fused in C++, pipeline, portable", "fused in C++, pipeline, native"),
    "nn.LSTM, portable over native": ("nn.LSTM, usual loop, portable", "nn.LSTM, usual loop, native"),
    "fused in C++ over the textbook's scratch loop": (
        "fused in C++, pipeline, portable",
        "textbook loop, scratch, native",
    ),
    "fused in C++ over book": ("fused in C++, pipeline, portable", "book, pipeline, portable"),
    "fused in PyTorch over book": ("fused in PyTorch, pipeline, portable", "book, pipeline, portable"),
    "fused in C++ over fused in PyTorch": ("fused in C++, pipeline, portable", "fused in PyTorch, pipeline, portable"),
    "nn.LSTM in the pipeline over the textbook's loop": ("nn.LSTM, pipeline, native", "textbook loop, nn.LSTM, native"),
    "nn.LSTM alone over the textbook's loop around it": (
        "nn.LSTM alone, no loop, native",
        "textbook loop, nn.LSTM, native",
    ),
}


def default_shape(pools: Mapping[str, Executor]) -> dict[str, Any]:
    """Every entry at the default shape, with the matrix products that bound them, in one interleaved run."""
    shape, steps = Shape(), 8
    entries = _possible(ENTRIES)
    seconds = taking_turns(pools, [*entries, FLOOR], shape, steps, ROUNDS)
    floor = np.median(seconds[str(FLOOR)])
    return {
        str(entry): {
            "tokens_per_second": quartiles(shape.tokens * steps / seconds[str(entry)]),
            "share_of_products": float(f"{floor / np.median(seconds[str(entry)]):.3g}"),
            "peak_memory_mib": peak_memory(entry, shape),
        }
        for entry in entries
    }


def grid(pools: Mapping[str, Executor]) -> list[dict[str, Any]]:
    """Milliseconds of a training step over hidden and batch size; few rounds where a step is long."""
    rows = []
    for batch_size in BATCH_SIZES:
        for hidden in HIDDEN:
            shape = Shape(hidden=hidden, batch_size=batch_size)
            rounds = 3 if hidden * hidden * batch_size > 10**8 else 10
            for name, taken in taking_turns(pools, _possible(GRID_ENTRIES), shape, 1, rounds, warm_up=1).items():
                rows.append(
                    {"hidden": hidden, "batch_size": batch_size, "contestant": name, "step_ms": quartiles(taken * 1e3)}
                )
    return rows


def stacks(pools: Mapping[str, Executor]) -> list[dict[str, Any]]:
    """Milliseconds of a training step over layers, hidden and vocabulary; few rounds where a step is long.

    Words have an embedding of size hidden.
    """
    rows = []
    for layers, hidden, vocab_size in product(LAYERS, STACK_HIDDEN, VOCABULARIES):
        embedding = hidden if vocab_size > MANY_TYPES else None
        shape = Shape(hidden, vocab_size=vocab_size, layers=layers, embedding=embedding)
        rounds = 5 if vocab_size > MANY_TYPES else 20
        for name, taken in taking_turns(pools, _possible(STACK_ENTRIES), shape, 1, rounds, warm_up=1).items():
            cell = {"layers": layers, "hidden": hidden, "vocab_size": vocab_size, "contestant": name}
            rows.append({**cell, "step_ms": quartiles(taken * 1e3)})
    return rows


def one_step(pools: Mapping[str, Executor]) -> dict[str, Any]:
    """The share of C++ in a step, and steps beside two other processes."""
    if not computes(CPU):
        return {}
    return {
        "share_of_native": pools["portable"].submit(step.share_of_native, Shape(), ROUNDS).result(),
        "beside_two_processes": step.beside_counters(pools, list(STACK_ENTRIES), Shape(), ROUNDS),
    }


def _possible(entries: tuple[Entry, ...]) -> list[Entry]:
    """The entries that can run here: some need a C++ compiler."""
    return [entry for entry in entries if entry.contestant in contestants(CPU)]


def measure() -> dict[str, Any]:
    """Everything that is measured, and on what."""
    kernel = f"all; fused in PyTorch{' and C++' if computes(CPU) else ''}"
    with processes() as pools:
        results = default_shape(pools)
        return {
            "measured_on": devices.measured_on(CPU),
            "environment": {
                mode: pools[mode].submit(devices.environment, CPU, kernel, "fp32").result() for mode in MODES
            },
            "default_shape": results,
            "ratios": ratios(results, RATIOS),
            **one_step(pools),
            "grid": grid(pools),
            "stacks": stacks(pools),
        }


def main() -> None:
    """Measure; write JSON and picture."""
    report = measure()
    write_json(ROOT / "metrics/benchmark_cpu.json", report)
    picture.draw(report, ROOT / "plots/benchmark_cpu.png", Shape())
    print(json.dumps({"ratios": report["ratios"], **report["default_shape"]}, indent=2))


if __name__ == "__main__":
    main()
