"""A training that is stopped, killed or betrayed by its checkpoint ends in the bytes of an undisturbed one."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from lstm_lm.core.interruption import Signals
from lstm_lm.core.json_file import read_json
from machines import needs_pins
from projects import Project
from stage_process import StageProcess

RESUMPTIONS = 7
"""Of each of the two models, after kills."""
CADENCE = 0.05
LONG = {"train__epochs": 100, "checkpoint__seconds": CADENCE}
SHORT = {"train__epochs": 60}
SLACK_SECONDS = 1.5
"""What a busy machine may add to a step, a save and a start."""


def undisturbed_training(tokenized: Project, folder: Path, **changes: object) -> Project:
    project = tokenized.copy_of(folder / "project")
    project.set(**changes)
    project.run_through("train_scratch", "train_concise")
    return project


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, tokenized: Project) -> Project:
    """A project whose two long trainings nothing happened to."""
    return undisturbed_training(tokenized, tmp_path_factory.mktemp("long"), **LONG)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, tokenized: Project) -> Project:
    """A project whose two short trainings nothing happened to."""
    return undisturbed_training(tokenized, tmp_path_factory.mktemp("short"), **SHORT)


def start_training(project: Project, kind: str) -> StageProcess:
    """Start, and return when the model is built and the training about to begin."""
    child = project.start(f"train_{kind}")
    child.wait_for(f"{kind}: ", "out")
    return child


def saved_position(project: Project) -> tuple[int, int] | None:
    """Finished epochs and finished batches of the next one in the checkpoint; None without a checkpoint."""
    states = project.checkpoints()
    if not states:
        return None
    with safe_open(states[0], framework="pt") as file:
        state = json.loads(file.metadata()["rest"])
    return len(state["epochs"]), state["position"]


def stop(project: Project, kind: str) -> None:
    """Leave a checkpoint behind, somewhere in the middle of a short training."""
    project.set(**SHORT)
    child = start_training(project, kind)
    child.wait_for("epoch 1/")
    child.send(signal.SIGTERM)
    assert child.wait().exitcode == 128 + signal.SIGTERM


@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_killed_at_random_moments(kind: str, small_project: Project, long: Project) -> None:
    project, moments = small_project, random.Random(kind)
    project.set(**LONG)
    seconds = read_json(long.root / f"metrics/throughput_{kind}.json")["seconds"]
    longest = 1.3 * seconds / RESUMPTIONS
    starts, resumed = 0, 0
    while True:
        starts += 1
        assert starts < 10 * RESUMPTIONS
        before = saved_position(project)
        child = start_training(project, kind)
        if resumed < RESUMPTIONS:
            time.sleep(moments.uniform(0, longest))
            child.send(signal.SIGKILL)
        result = child.wait()
        told = result.out.splitlines()[1:]
        if before and (told or result.exitcode == 0):  # not killed before it could tell
            epochs, batches = before
            assert told[0].endswith(f"resumed at epoch {epochs + 1}, batch {batches + 1}")
            resumed += 1
        after = saved_position(project)
        if result.exitcode == 0 or (before and not after):  # all was written, even if it was killed then
            assert project.results(kind) == long.results(kind)
            if resumed >= RESUMPTIONS:
                break
            shutil.rmtree(project.root / ".checkpoints")  # faster than expected: once more from the start
            (project.root / f"metrics/train_{kind}.json").unlink()
            continue
        assert result.exitcode == -signal.SIGKILL, result.err
        assert (after or (0, 0)) >= (before or (0, 0))
    assert project.checkpoints() == []


def test_no_more_than_the_cadence_is_lost(small_project: Project) -> None:
    small_project.set(train__epochs=10**5, checkpoint__seconds=CADENCE)
    child = start_training(small_project, "concise")
    time.sleep(2 * SLACK_SECONDS)
    child.send(signal.SIGKILL)
    killed = time.time()
    child.wait()
    saved = small_project.checkpoints()[0]
    assert killed - saved.stat().st_mtime < CADENCE + SLACK_SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_at_once(number: signal.Signals, small_project: Project, short: Project) -> None:
    small_project.set(**SHORT)
    child = start_training(small_project, "scratch")
    child.wait_for("epoch 3/")
    child.send(number)
    sent = time.monotonic()
    result = child.wait()
    assert time.monotonic() - sent < SLACK_SECONDS
    assert result.exitcode == 128 + number
    last = result.err.splitlines()[-1]
    assert last == f"train_scratch: stopped by {number.name}; the state is saved, the same command goes on"
    assert "Traceback" not in result.err
    epochs, batches = saved_position(small_project) or (0, 0)
    assert epochs >= 3
    result = small_project.run("train_scratch")
    assert f"resumed at epoch {epochs + 1}, batch {batches + 1}\n" in result.out
    assert small_project.results("scratch") == short.results("scratch")
    assert small_project.checkpoints() == []


def test_a_script_of_its_own_stops_and_goes_on(small_project: Project, short: Project) -> None:
    small_project.set(**SHORT)
    with small_project.script("train_concise") as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("epoch 3/"):
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    with small_project.script("train_concise") as process:
        assert "resumed at epoch" in process.communicate()[0]
    assert process.returncode == 0
    assert small_project.results("concise") == short.results("concise")


@needs_pins
def test_it_goes_on_on_another_processor(small_project: Project, short: Project) -> None:
    """Another processor has other vectors and threads; the loops in C++ compiled for those stand for it."""
    stop(small_project, "scratch")
    other = {"CXXFLAGS": "-march=x86-64-v3 -DVECTOR_BYTES=16", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    with small_project.script("train_scratch", **other) as process:
        out = process.communicate()[0]
    assert "resumed at epoch" in out
    assert ", 1 thread" not in out
    assert small_project.results("scratch") == short.results("scratch")


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_acts_at_once() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_are_only_held_back_inside() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in numbers] == before


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_outside_the_loop_is_one_line(bare_project: Project) -> None:
    params = bare_project.root / "params.yaml"
    params.unlink()
    os.mkfifo(params)
    child = bare_project.start("fetch")
    with params.open("w"):  # waits until the stage has begun to read, and lets it wait
        child.send(signal.SIGINT)
    # A signal that comes just before the read does not end it. The closed pipe does.
    result = child.wait()
    assert (result.exitcode, result.err) == (130, "fetch: stopped by SIGINT; the same command starts again\n")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, tokenized: Project) -> Project:
    """A project with a checkpoint of "concise"."""
    project = tokenized.copy_of(tmp_path_factory.mktemp("stopped") / "project")
    stop(project, "concise")
    return project


def test_a_damaged_checkpoint_is_ignored(stopped: Project, tmp_path: Path, short: Project) -> None:
    project = stopped.copy_of(tmp_path / "project")
    (state,) = project.checkpoints()
    os.truncate(state, state.stat().st_size // 2)
    result = project.run("train_concise")
    assert result.exitcode == 0
    message = result.err.splitlines()[0]
    assert message.startswith("checkpoint .checkpoints/concise-")
    assert "ignored: it cannot be read" in message
    assert message.endswith("; the training starts from the beginning")
    assert "resumed" not in result.out
    assert project.results("concise") == short.results("concise")
    assert project.checkpoints() == []


def test_other_parameters_are_another_training(stopped: Project, tmp_path: Path) -> None:
    project = stopped.copy_of(tmp_path / "project")
    left = project.checkpoints()
    project.set(train__lr=0.5, train__epochs=2)
    result = project.run("train_concise")
    assert result.exitcode == 0
    assert "ignored" not in result.err
    assert "resumed" not in result.out
    assert project.checkpoints() == left, "whoever goes back to the old parameters goes on"


def test_another_cadence_is_the_same_training(stopped: Project, tmp_path: Path) -> None:
    project = stopped.copy_of(tmp_path / "project")
    project.set(**SHORT, checkpoint__seconds=7)
    assert "resumed at epoch" in project.run("train_concise").out


def test_a_full_disk_leaves_the_last_checkpoint(stopped: Project, tmp_path: Path) -> None:
    project = stopped.copy_of(tmp_path / "project")
    project.set(**SHORT, checkpoint__seconds=0.01)
    before = project.files()
    complaint = project.run("train_concise", file_limit=1000).complaint
    assert complaint.startswith("train_concise: cannot write .checkpoints/concise-")
    assert complaint.endswith(".safetensors: File too large")
    assert project.files() == before
