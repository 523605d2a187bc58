"""What sharing a training costs two processes on one machine, one thread each, over hidden units.

Writes metrics/benchmark_processes.json: milliseconds of a step of one process and of two that share its rows, and of
the messages in it; bytes and milliseconds of a checkpoint; our average of the gradients beside torch's
DistributedDataParallel, around torch.nn.LSTM.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import ROOT
from benchmarks.measure import CPU
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params, load_params
from lstm_lm.model.language_model import architecture, build, fix_threads
from lstm_lm.tokens.batching import Window
from lstm_lm.training import processes
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.group import Group
from lstm_lm.training.step import EagerStep

HIDDEN = (64, 128, 256, 512, 1024)
VOCAB_SIZE = 28


def milliseconds(work: Callable[[], object], repetitions: int) -> float:
    """The median time of `work`, after three calls that do not count."""
    taken = []
    for _ in range(3 + repetitions):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(taken[3:])), 3)


def shape(group: Group, params: Params, hidden: int, folder: Path) -> dict[str, Any]:
    """A training step, its messages and a checkpoint."""
    model = build("scratch", VOCAB_SIZE, params.changed({"model.hidden": hidden}))
    rows = params.train.batch_size // group.size
    tokens = torch.randint(VOCAB_SIZE, (params.train.num_steps, rows))
    step, repetitions = EagerStep(model, params.train, group), max(5, 8000 // hidden)
    gradients = [torch.randn_like(parameter) for parameter in model.parameters()]
    checkpoint = Checkpoint(folder, "scratch", str(group.rank), 1)
    state = {"model": model.state_dict(), "carried": step.carried._asdict()}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "step": milliseconds(lambda: step(Window(tokens, tokens, False), 1e-6), repetitions),
        "average": milliseconds(lambda: group.average(gradients), repetitions),
        "save": milliseconds(lambda: checkpoint.save(state), 5),
        "saved_bytes": checkpoint.path.stat().st_size,
    }


def usual_loop(group: Group, params: Params) -> dict[str, float]:
    """Forward and backward through nn.LSTM without messages, with our average, with torch's DistributedDataParallel."""

    class Usual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts = architecture("concise", VOCAB_SIZE, params)
            self.lstm, self.output = nn.LSTM(VOCAB_SIZE, parts.hidden), nn.Linear(parts.hidden, VOCAB_SIZE)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.output(self.lstm(inputs)[0]).flatten(0, 1)

    inputs = torch.randn(params.train.num_steps, params.train.batch_size // group.size, VOCAB_SIZE)
    targets = torch.zeros(inputs.shape[:2], dtype=torch.int64).flatten()

    def step(model: nn.Module, average: bool) -> None:
        model.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        if average:
            group.average([parameter.grad for parameter in model.parameters() if parameter.grad is not None])

    alone, shared = Usual(), nn.parallel.DistributedDataParallel(Usual())
    ways = {"alone": (alone, False), "average": (alone, True), "DistributedDataParallel": (shared, False)}
    rounds = [[milliseconds(lambda way=way: step(*way), 20) for way in ways.values()] for _ in range(9)]
    return {name: round(float(taken), 3) for name, taken in zip(ways, np.median(rounds, axis=0), strict=True)}


def measure(group: Group, device: torch.device, destination: Path, hidden: Sequence[int] = HIDDEN) -> None:
    """Write what `group` measures to a JSON file; its first process does."""
    devices.configure(device, "fp32", "portable")
    params = load_params(ROOT / "params.yaml")
    fix_threads(architecture("concise", VOCAB_SIZE, params), processes=2)
    report: dict[str, Any] = {"agree": milliseconds(lambda: group.highest(0, 0), 300)}
    with tempfile.TemporaryDirectory() as folder:
        report["shapes"] = {size: shape(group, params, size, Path(folder)) for size in hidden}
    if group.size > 1:
        report["usual_loop"] = usual_loop(group, params)
    if group.is_first:
        write_json(destination, report)


def main() -> None:
    """Measure; write JSON."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    report: dict[str, Any] = {"measured_on": devices.measured_on(CPU)}
    with tempfile.TemporaryDirectory() as folder:
        for count, name in ((1, "one"), (2, "two")):
            processes.run(measure, count, CPU, Path(folder) / "report.json")
            report[name] = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
    write_json(ROOT / "metrics/benchmark_processes.json", report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
