"""The curves of a training that still runs, was stopped or has failed."""

import math
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import Tensor

from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.training import curves, experiment, loop
from lstm_lm.training.loop import Epoch
from lstm_lm.training.losses import Diverged
from lstm_lm.training.step import make_step
from projects import Project, changed
from stage_process import PATIENCE_SECONDS
from trainings import Watched

ENDLESS = {"train__epochs": 10**5, "checkpoint__seconds": 0.02}


def curve(project: Project, name: str = "curve_scratch") -> pd.DataFrame:
    return pd.read_csv(project.root / f"plots/{name}.tsv", sep="\t", index_col="epoch")


def test_a_running_training_shows_whole_curves_that_grow(small_project: Project) -> None:
    small_project.set(**ENDLESS)
    child = small_project.start("train_scratch")
    path, seen = small_project.root / "plots/curve_scratch.tsv", [0]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(seen) < 4:
        assert time.monotonic() < deadline
        if path.exists():
            rows = curve(small_project)
            assert list(rows.index) == list(range(1, len(rows) + 1))
            assert rows.notna().all(axis=None)
            seen += [len(rows)] if len(rows) > seen[-1] else []
    assert stage.is_running("train_scratch", small_project.root)
    assert not stage.is_running("train_concise", small_project.root)
    child.send(signal.SIGKILL)
    child.wait()
    assert not stage.is_running("train_scratch", small_project.root)


def test_a_stopped_training_leaves_its_curves_and_shows_them_again_when_it_goes_on(small_project: Project) -> None:
    small_project.set(train__epochs=10**5)
    child = small_project.start("train_scratch")
    child.wait_for("epoch 1/")
    child.send(signal.SIGTERM)
    assert child.wait().exitcode == 128 + signal.SIGTERM
    left = {name: curve(small_project, f"{name}_scratch") for name in ("curve", "held_out", "timing")}
    assert len(left["curve"]) == len(left["timing"]) >= 1
    assert len(left["held_out"]) == len(left["curve"]) // 10
    for path in (small_project.root / "plots").iterdir():
        path.unlink()  # as DVC does before it runs a stage
    child = small_project.start("train_scratch")
    child.wait_for("resumed", "out")
    assert len(curve(small_project)) >= len(left["curve"])
    child.send(signal.SIGTERM)
    child.wait()


def test_a_training_that_diverges_leaves_the_curve_so_far(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = count(1)

    def spoil_the_third_epoch(loss: Tensor) -> None:
        loss.mul_(math.nan if next(batches) > 60 else 1)

    def failing_step(*arguments: Any) -> Watched:
        return Watched(make_step(*arguments), spoil_the_third_epoch)

    monkeypatch.setattr(loop, "make_step", failing_step)
    with pytest.raises(Diverged, match="at epoch 3, batch "):
        experiment.train("scratch", Params.model_validate(changed()), small_project.root)
    assert list(curve(small_project).index) == [1, 2]


def test_before_the_first_epoch_there_is_no_curve(tmp_path: Path) -> None:
    curves.write([], "scratch", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_epochs_without_a_score_are_left_out(tmp_path: Path) -> None:
    curves.write([Epoch(3.5, None, 100, 2.0, 2.5), Epoch(2.5, 8.25, 100, 0.5, 3.0)], "scratch", tmp_path)
    assert (tmp_path / "plots/curve_scratch.tsv").read_text() == "epoch\ttrain_perplexity\n1\t3.5\n2\t2.5\n"
    assert (tmp_path / "plots/held_out_scratch.tsv").read_text() == "epoch\tvalid_perplexity\n2\t8.25\n"
    timing = "epoch\tseconds\ttokens_per_second\n1\t2\t50\n2\t2.5\t200\n"
    assert (tmp_path / "plots/timing_scratch.tsv").read_text() == timing
