"""Processes that share a training follow the curve of one, survive the loss of one, and end together.

As a script, with a number of processes and a folder that has a project in `project`: trains all of CASES, then runs a
stage, and writes what came of it to the folder. With more than one process the last of them fails in the end, alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lstm_lm.core import device as devices
from lstm_lm.core.json_file import read_json
from lstm_lm.core.params import load_params
from lstm_lm.training import experiment, processes
from lstm_lm.training.group import Group
from lstm_lm.training.loop import Training
from projects import Project
from stage_process import wait_until
from trainings import STREAM, VALID, settings
from trainings import model as small_model

PAIR = {"train__processes": 2, "train__epochs": 40, "checkpoint__seconds": 0.2}
LAUNCHED = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}

Changes = dict[str, object]

CASES: dict[str, tuple[str, dict[str, Any], Changes]] = {
    "fused": ("scratch", {"kernel": "fused"}, {}),
    "fused, random": ("scratch", {"kernel": "fused"}, {"sampling": "random"}),
    "fused, dropout": ("scratch", {"kernel": "fused", "dropout": 0.3, "layers": 2, "embedding": 9}, {}),
    "book": ("scratch", {"kernel": "book"}, {}),
    "book, Adam": ("scratch", {"kernel": "book", "dropout": 0.3}, {"optimizer": "adam", "lr": 0.01}),
    "library": ("concise", {}, {}),
    "library, dropout": ("concise", {"dropout": 0.3, "layers": 2}, {"optimizer": "adam", "lr": 0.01}),
}
"""Kind, and what is special about the sections `model` and `train`."""

CLIP = 0.1
FAILURE = "the last process fails alone"


def train(group: Group, kind: str, parts: dict[str, Any], train: Changes) -> dict[str, Any]:
    """The curves of a training of 10 epochs, the rows that this process had, a gradient norm of the last epoch."""
    wanted = settings(**{"epochs": 10, "clip": CLIP, **train})
    training = Training(small_model(kind, **parts), STREAM, VALID, wanted, seed=0, group=group)
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


class Shared:
    """What this file as a script leaves: `alone`, `first` and `last` are the results of its processes."""

    def __init__(self, folder: Path, ended: dict[int, subprocess.CompletedProcess[str]]) -> None:
        self.project, self.ended = folder / "project", ended
        self.alone, self.first, self.last = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1")
        )


@pytest.fixture(scope="module")
def shared(tokenized: Project, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    project = tokenized.copy_of(folder / "project")
    project.set(train__processes=2, train__epochs=2, checkpoint__seconds=1e-9)
    ended = {}
    for count in (1, 2):
        command = [sys.executable, __file__, str(count), str(folder)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended[count] = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if count == 1:
            shutil.rmtree(project.root / ".checkpoints")
    return Shared(folder, ended)


def perplexities(result: dict[str, Any]) -> list[float]:
    return [value for train, valid, _ in result["curves"] for value in (train, valid) if value is not None]


@pytest.mark.parametrize("case", CASES)
def test_two_follow_the_curve_of_one(case: str, shared: Shared) -> None:
    alone, first, last = shared.alone[case], shared.first[case], shared.last[case]
    assert perplexities(first) == pytest.approx(perplexities(alone), rel=1e-5)
    assert perplexities(first) == perplexities(last), "the bytes of both are the same"
    assert perplexities(alone)[-1] < perplexities(alone)[0] - 1, "it learns"
    assert alone["norm"] > CLIP, "gradients are clipped"
    assert [tokens for _, _, tokens in first["curves"]] == [tokens for _, _, tokens in alone["curves"]]
    assert (alone["rows"], first["rows"], last["rows"]) == (4, 2, 2)


def test_only_the_first_writes(shared: Shared) -> None:
    written = " ".join(shared.first["changes"])
    for name in ("concise.safetensors", "train_concise.json", "curve_concise.tsv", ".checkpoints"):
        assert name in written
    assert shared.last["changes"] == []
    throughput = read_json(shared.project / "metrics/throughput_concise.json")
    assert throughput["device"].startswith("2 processes, each ")


def test_a_process_that_fails_alone_ends_all_with_one_message(shared: Shared) -> None:
    assert shared.ended[1].returncode == 0, shared.ended[1].stderr
    assert shared.ended[2].returncode == 1
    assert shared.ended[2].stderr.count(f"ValueError: {FAILURE}") == 1
    assert "start again" not in shared.ended[2].stderr


def test_a_divergence_is_one_message(small_project: Project) -> None:
    small_project.set(train__processes=2, train__lr=1e6, train__clip=1e6)
    complaint = small_project.run("train_scratch").complaint
    assert complaint.startswith("train_scratch: the training diverged at epoch ")


def runs(process: psutil.Process) -> bool:
    """Whether a process is there, and more than an entry that nobody has collected."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_stopped_and_killed_it_ends_in_the_bytes_of_an_undisturbed_training(
    small_project: Project, tmp_path: Path
) -> None:
    undisturbed = small_project.copy_of(tmp_path / "undisturbed")
    for project in (small_project, undisturbed):
        project.set(**PAIR)
    undisturbed.run_through("train_scratch")

    child = small_project.start("train_scratch")
    child.wait_for("epoch 2/")
    workers = child.workers()
    child.send(signal.SIGKILL)
    child.wait()
    wait_until(lambda: not any(map(runs, workers)))

    child = small_project.start("train_scratch")
    child.wait_for("epoch 14/")  # those that are left alone save and stop
    child.send(signal.SIGTERM)
    result = child.wait()
    assert result.exitcode == 128 + signal.SIGTERM
    last = result.err.splitlines()[-1]
    assert last == "train_scratch: stopped by SIGTERM; the state is saved, the same command goes on"
    (checkpoint,) = small_project.checkpoints()

    child = small_project.start("train_scratch")
    child.wait_for("resumed at epoch", "out")
    saved = checkpoint.stat().st_mtime_ns
    wait_until(lambda: checkpoint.stat().st_mtime_ns != saved)
    child.workers()[-1].kill()
    result = child.wait()
    assert result.exitcode == 0, result.err
    assert result.out.count("resumed at epoch") == 2
    assert result.err.count("process 2 of 2 was killed by SIGKILL: all start again, restart 1 of 3\n") == 1
    assert "Traceback" not in result.err
    assert small_project.results("scratch") == undisturbed.results("scratch")
    assert small_project.checkpoints() == []


def test_a_process_that_is_lost_leaves_no_semaphore() -> None:
    code = """
import multiprocessing, os
multiprocessing.set_start_method("spawn")
from lstm_lm.training.progress import Progress
Progress(epochs=1, done=0)
os._exit(0)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    lost = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert lost.stderr == ""


def test_rows_that_cannot_be_shared_are_refused(bare_project: Project) -> None:
    bare_project.set(train__processes=3)
    assert bare_project.run("train_scratch").complaint == (
        "train_scratch: params.yaml: train.processes is 3; it must divide train.batch_size, 8"
    )


def test_a_device_for_each_process() -> None:
    gpus = torch.cuda.device_count() + 1
    with pytest.raises(ValueError, match=rf"^train\.processes is {2 * gpus}, {gpus} on this machine, which has"):
        processes.check_device(torch.device("cuda"), gpus, 2 * gpus)


@pytest.mark.parametrize("count", [1, 2])
def test_torchrun_must_start_as_many_as_the_parameters_say(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=rf"^torchrun started 4 processes, train\.processes is {count}"):
        processes.run(lambda *_: None, count, torch.device("cpu"))


if __name__ == "__main__":
    processes.run(work, int(sys.argv[1]), torch.device("cpu"), Path(sys.argv[2]))
