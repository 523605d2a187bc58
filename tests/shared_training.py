"""Trains models of several kinds in processes that share the rows, and writes what came of it to a folder.

Arguments: the number of processes; the folder, with a project in `project`. With more than one process the last of
them fails in the end, alone.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lstm_lm.core import device as devices
from lstm_lm.core.params import load_params
from lstm_lm.model.language_model import build
from lstm_lm.training import experiment, processes
from lstm_lm.training.group import Group
from lstm_lm.training.loop import Training
from projects import params_of, train_of

Changes = dict[str, object]

CASES: dict[str, tuple[str, Changes, Changes]] = {
    "fused": ("scratch", {"kernel": "fused"}, {}),
    "fused, random": ("scratch", {"kernel": "fused"}, {"sampling": "random"}),
    "fused, dropout": ("scratch", {"kernel": "fused", "dropout": 0.3, "layers": 2, "embedding": 9}, {}),
    "book": ("scratch", {"kernel": "book"}, {}),
    "book, Adam": ("scratch", {"kernel": "book", "dropout": 0.3}, {"optimizer": "adam", "lr": 0.01}),
    "library": ("concise", {}, {}),
    "library, Adam": ("concise", {"dropout": 0.3}, {"optimizer": "adam", "lr": 0.01, "sampling": "random"}),
}
"""Kind, and what is special about the sections `model` and `train`."""

CLIP = 0.1
FAILURE = "the last process fails alone"
TEXT = b"the time traveller for so it will be convenient to speak of him was expounding a recondite matter to us "
STREAM = np.array([1 + b"abcdefghijklmnopqrstuvwxyz ".index(byte) for byte in TEXT * 3], np.uint8)


def train(group: Group, kind: str, model: Changes, train: Changes) -> dict[str, Any]:
    """The curves of a training of 20 epochs, the rows that this process had, a gradient norm of the last epoch."""
    settings = train_of(**{"batch_size": 4, "num_steps": 9, "epochs": 20, "clip": CLIP, **train})
    untrained = build(kind, 28, params_of(hidden=12, **model, seed=3))
    training = Training(untrained, STREAM, STREAM[:60], settings, seed=0, group=group)
    training.run()
    curves = [[epoch.train_perplexity, epoch.valid_perplexity, epoch.tokens] for epoch in training.epochs]
    return {"curves": curves, "rows": training.step.carried.hidden.shape[1], "norm": float(training.losses.norms[0])}


def watch(changes: list[str]) -> None:
    """Collect what this process opens for writing, renames or removes, from now on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.remove", "os.mkdir"):
            changes.append(f"{event} {arguments[0]}")

    sys.addaudithook(hook)


def work(group: Group, device: torch.device, folder: Path) -> None:
    """All cases, then a whole stage; the results go to <folder>/<size>-<rank>.json."""
    devices.configure(device, "fp32", "portable")
    results: dict[str, Any] = {name: train(group, *case) for name, case in CASES.items()}
    changes: list[str] = []
    watch(changes)
    project = folder / "project"
    experiment.train_together(group, device, "concise", load_params(project / "params.yaml"), project)
    results["changes"] = list(changes)
    (folder / f"{group.size}-{group.rank}.json").write_text(json.dumps(results))
    if 1 < group.size == group.rank + 1:
        raise ValueError(FAILURE)
    group.highest(0)


if __name__ == "__main__":
    processes.run(work, int(sys.argv[1]), torch.device("cpu"), Path(sys.argv[2]))
