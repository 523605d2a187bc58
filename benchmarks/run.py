"""`make bench`: how fast each way of training is, side by side, and how cost grows.

Writes metrics/benchmark_<device>.json and plots/benchmark_<device>.png for the CPU and, where there is one, for
the GPU. Everything in a file was measured in one process, interleaved, so ratios mean something; absolute
numbers are this machine's.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import picture
from contestants import CONTESTANTS, Shape, contestants
from lstm_lm import device as devices
from lstm_lm.atomic import write_json
from lstm_lm.model.lstm_native import loops
from lstm_lm.tokens import text
from lstm_lm.tokens.tokenizer import Tokenizer
from measure import epoch, interleaved, peak_memory, products, quartiles

HIDDEN = (64, 128, 256, 512, 1024)
BATCH_SIZES = (1, 32, 1024)
GRID_CONTESTANTS = ("nn.LSTM, pipeline", "fused in PyTorch, pipeline", "fused in C++, pipeline")
ROOT = Path(__file__).resolve().parents[1]


def default_shape(device: torch.device, rounds: int) -> dict[str, Any]:
    """Every contestant at the default shape, with the matrix products that bound them, in one interleaved run."""
    shape, steps = Shape(), 8
    actions = {name: epoch(CONTESTANTS[name](shape, device), shape, device, steps) for name in contestants(device)}
    seconds = interleaved({**actions, "products": products(shape, device)}, device, rounds)
    floor = np.median(seconds.pop("products"))
    rates = {name: shape.tokens * steps / taken for name, taken in seconds.items()}
    return {
        name: {
            "tokens_per_second": quartiles(rates[name]),
            "share_of_products": float(f"{floor * steps / np.median(taken):.3g}"),
            "peak_memory_mib": peak_memory(name, shape, device),
        }
        for name, taken in seconds.items()
    }


def grid(device: torch.device) -> list[dict[str, Any]]:
    """Milliseconds of a training step over hidden and batch size; few rounds where a step is long."""
    rows, names = [], [name for name in GRID_CONTESTANTS if name in contestants(device)]
    for batch_size in BATCH_SIZES:
        for hidden in HIDDEN:
            shape = Shape(hidden=hidden, batch_size=batch_size)
            rounds = 3 if hidden * hidden * batch_size > 10**8 else 10
            actions = {name: epoch(CONTESTANTS[name](shape, device), shape, device, 1) for name in names}
            for name, taken in interleaved(actions, device, rounds, warm_up=1).items():
                rows.append(
                    {"hidden": hidden, "batch_size": batch_size, "contestant": name, "step_ms": quartiles(taken * 1e3)}
                )
    return rows


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Speeds over speeds, from medians of one run, where both were measured."""
    speed = {name: result["tokens_per_second"]["median"] for name, result in results.items()}
    pairs = {
        "fused in PyTorch over book": ("fused in PyTorch, pipeline", "book, pipeline"),
        "fused in C++ over book": ("fused in C++, pipeline", "book, pipeline"),
        "fused in C++ over fused in PyTorch": ("fused in C++, pipeline", "fused in PyTorch, pipeline"),
        "fused in PyTorch over nn.LSTM": ("fused in PyTorch, pipeline", "nn.LSTM, usual loop"),
        "fused in C++ over nn.LSTM": ("fused in C++, pipeline", "nn.LSTM, usual loop"),
        "fused in C++ over the textbook's scratch loop": ("fused in C++, pipeline", "textbook loop, scratch"),
        "nn.LSTM in the pipeline over the textbook's loop": ("nn.LSTM, pipeline", "textbook loop, nn.LSTM"),
        "nn.LSTM alone over the textbook's loop around it": ("nn.LSTM alone, no loop", "textbook loop, nn.LSTM"),
    }
    return {
        label: round(speed[above] / speed[below], 3)
        for label, (above, below) in pairs.items()
        if above in speed and below in speed
    }


def tokenising(rounds: int) -> dict[str, float]:
    """Megabytes of raw text per second through normalisation, vocabulary and encoding."""
    raw = (ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8") * 40
    tokenizer = Tokenizer("char", "letters")

    def action() -> None:
        tokens = tokenizer.tokens(tokenizer.normalize(raw))
        text.Vocabulary.of(tokens).encode(tokens)

    seconds = interleaved({"tokenise": action}, torch.device("cpu"), rounds)["tokenise"]
    return quartiles(len(raw.encode()) / 1e6 / seconds)


def idle_repro(rounds: int) -> dict[str, float] | None:
    """Seconds of a `dvc repro` that has nothing to do; None where it would have something to do."""
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], cwd=ROOT, capture_output=True, check=False
    )
    if status.returncode or json.loads(status.stdout or b"null"):
        return None
    seconds = np.zeros(rounds)
    for number in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=ROOT, check=True)
        seconds[number] = time.perf_counter() - start
    return quartiles(seconds)


def measure(device: torch.device, rounds: int) -> dict[str, Any]:
    """Everything that is measured on one device, stamped with what it was measured on."""
    results = default_shape(device, rounds)
    report = {
        "environment": devices.environment(device, f"all; fused in PyTorch, {loops(device, 'fp32')}", "fp32"),
        "default_shape": results,
        "ratios": ratios(results),
        "grid": grid(device),
    }
    if device.type == "cpu":
        report |= {"tokenising_mb_per_second": tokenising(5), "idle_repro_seconds": idle_repro(5)}
    return report


def main() -> None:
    """Measure on the CPU and on the GPU if there is one; write JSON and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds of eight steps (30)")
    rounds = parser.parse_args().rounds
    for kind in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        device = torch.device(kind)
        devices.configure(device, "fp32", "portable")
        report = measure(device, rounds)
        write_json(ROOT / f"metrics/benchmark_{kind}.json", report)
        picture.draw(report, ROOT / f"plots/benchmark_{kind}.png")
        print(json.dumps({"ratios": report["ratios"], **report["default_shape"]}, indent=2))


if __name__ == "__main__":
    main()
