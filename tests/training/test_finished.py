"""The end of a training: a signal in the last validation stops it, and its last state outlives it."""

import hashlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from lstm_lm.core.interruption import Interrupted, Signals
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import Score, score
from lstm_lm.training import loop
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.loop import Training
from projects import Project
from trainings import STREAM, VALID, counted, model, settings, weights


def training(folder: Path) -> Training:
    checkpoint = Checkpoint(folder, "concise", "key", cadence=1000)
    return Training(model(), STREAM, VALID, settings(epochs=3, valid_every=3, keep="best"), 0, checkpoint)


def test_a_signal_in_the_last_validation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = training(tmp_path / "undisturbed")
    undisturbed.run()

    def interrupted(model: LanguageModel, stream: np.ndarray) -> Score:
        os.kill(os.getpid(), signal.SIGTERM)
        return score(model, stream)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "score", interrupted)
        with pytest.raises(Interrupted, match=r"^stopped by SIGTERM; the state is saved"):
            training(tmp_path / "disturbed").run()
    resumed = training(tmp_path / "disturbed")
    resumed.run()
    assert counted(resumed.epochs) == counted(undisturbed.epochs)
    assert weights(resumed.model) == weights(undisturbed.model)


def test_a_result_that_was_not_stored_is_made_again_at_once(small_project: Project) -> None:
    """DVC removes the outputs of a stage before it runs it again."""
    small_project.set(checkpoint__seconds=1e-9)
    small_project.run_through("train_scratch")
    results = small_project.results("scratch")
    for folder in ("data/models", "metrics", "plots"):
        shutil.rmtree(small_project.root / folder)
    result = small_project.run("train_scratch")
    assert "resumed at epoch 13, batch 1\n" in result.out
    assert small_project.results("scratch") == results
    weights = (small_project.root / "data/models/scratch.safetensors").read_bytes()
    (small_project.root / "dvc.lock").write_text(f"md5: {hashlib.md5(weights).hexdigest()}\n", encoding="utf-8")
    assert "resumed" not in small_project.run("train_scratch").out


def test_a_linked_folder_stops_a_training_before_it_begins(small_project: Project, tmp_path: Path) -> None:
    (small_project.root / ".checkpoints").symlink_to(tmp_path)
    assert small_project.run("train_scratch").complaint == (
        "train_scratch: .checkpoints is a symbolic link, and trainings remove files in it: put a folder in its place"
    )


def test_a_closed_terminal_gives_the_time_to_save() -> None:
    """It sends a SIGHUP; and DVC, which it ends too, leaves a SIGTERM."""
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received
