"""Trainings of a small model on a short text, and how they are stopped and compared."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import Train
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.tokens.batching import Window
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.loop import Epoch, Training
from lstm_lm.training.step import Step
from projects import params_of, train_of

TEXT = b"the time traveller for so it will be convenient to speak of him was expounding a recondite matter to us "
STREAM = np.array([1 + b"abcdefghijklmnopqrstuvwxyz ".index(byte) for byte in TEXT * 3], np.uint8)
VALID = STREAM[:60]

DEEP = {"layers": 2, "embedding": 12, "dropout": 0.3, "tied": True}
EAGER = {"optimizer": "adam", "schedule": "cosine", "lr": 0.01, "keep": "best", "valid_every": 1}
"""Everything that a model and a training can have, together."""


def settings(**changes: object) -> Train:
    return train_of(**{"batch_size": 4, "num_steps": 9, "epochs": 5, **changes})


def model(kind: str = "concise", kernel: str = "fused", **parts: object) -> LanguageModel:
    return build(kind, 28, params_of(**{"hidden": 12, "kernel": kernel, "seed": 3, **parts}))


def weights(trained: LanguageModel) -> bytes:
    return b"".join(weight.cpu().numpy().tobytes() for weight in trained.state_dict().values())


class Watched:
    """A step that tells its loss to `watch`."""

    def __init__(self, step: Step, watch: Callable[[Tensor], None]) -> None:
        self.step, self.carried, self.optimizer, self.watch = step, step.carried, step.optimizer, watch

    def __call__(self, window: Window, lr: float) -> tuple[Tensor, Tensor]:
        loss, norm = self.step(window, lr)
        self.watch(loss)
        return loss, norm


def counted(epochs: list[Epoch]) -> list[tuple[float, float | None, int]]:
    """All of the epochs but the clocks."""
    return [epoch[:3] for epoch in epochs]


def assert_stops_change_nothing(make: Callable[[], LanguageModel], wanted: Train, folder: Path) -> None:
    """A training that is stopped after every single batch ends in the bytes of an undisturbed one."""
    undisturbed = make()
    expected = Training(undisturbed, STREAM, VALID, wanted, 0).run()
    windows = sum(epoch.tokens for epoch in expected) // 36
    for stops in range(windows + 1):
        resumed = make()
        torch.rand(7)  # whatever happened to torch's global random numbers meanwhile
        loop = Training(resumed, STREAM, VALID, wanted, 0, Checkpoint(folder, "kind", "key", cadence=1e9))
        if stops < windows:
            loop.step = Watched(loop.step, lambda _: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(Interrupted):
                loop.run()
            continue
        assert counted(loop.run()) == counted(expected)
        assert weights(resumed) == weights(undisturbed)
