"""Processes that a training starts on this machine: nobody else reaches them, and one line says what ended them."""

import os
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import distributed

from lstm_lm.core.interruption import Interrupted, Signals
from lstm_lm.core.params import load_params
from lstm_lm.training import experiment, launcher, processes
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.group import Group
from lstm_lm.training.loop import Training
from projects import Project
from stage_process import wait_until
from trainings import STREAM, VALID, Watched, model, settings

CPU = torch.device("cpu")
LOOPBACK = ("127.0.0.1", "::1")
CLUSTER = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "GLOO_SOCKET_IFNAME": "eth9"}
"""What a cluster may have set although nobody uses torchrun."""


@pytest.fixture(autouse=True)
def poor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No semaphores, which are in /dev/shm and find no room in a tiny one; no such interface as the variables say."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("_multiprocessing.SemLock", full)
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "eth9")


def test_more_processes_than_cores_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(processes, "launch", lambda *_: None)
    for count, said in ((2, ""), (32, "32 processes on 2 cores: they take turns\n")):
        processes.run(agree, count, CPU)
        assert capsys.readouterr().out == said


def listening(process: psutil.Process) -> list[str]:
    """The addresses on which a process and those that it started listen."""
    family = [process, *process.children(recursive=True)]
    return [at.laddr.ip for one in family for at in one.net_connections("inet") if at.status == psutil.CONN_LISTEN]


def test_nobody_else_reaches_a_training(small_project: Project, tmp_path: Path) -> None:
    small_project.set(train__processes=2, train__epochs=10**5)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {**CLUSTER, "TMPDIR": str(temporary)}
    with small_project.script("train_scratch", **variables) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("epoch 1/")
        addresses = listening(psutil.Process(process.pid))
        modes = [stat.S_IMODE(path.stat().st_mode) for path in temporary.iterdir()]
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert len(addresses) >= 2
    assert set(addresses) <= set(LOOPBACK)
    assert modes == [0o700]
    assert list(temporary.iterdir()) == []


def report(group: Group, _device: torch.device, folder: Path) -> None:
    """Leave a file for each process that has read another class from a pickle than those it was started with."""
    read: list[str] = []
    sys.addaudithook(lambda event, given: read.append(f"{given}") if event == "pickle.find_class" else None)
    for epochs in (2, 3):
        checkpoint = Checkpoint(folder / "checkpoints", "scratch", "key", cadence=0)
        wanted = settings(epochs=epochs, valid_every=1)
        Training(model("scratch"), STREAM, VALID, wanted, 0, checkpoint, group=group).run()
    (folder / f"{group.rank}").write_text("\n".join(read))


def test_no_process_reads_a_pickle_of_another(tmp_path: Path) -> None:
    processes.run(report, 2, CPU, tmp_path)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["", ""]


def stop_twice(group: Group, _device: torch.device, folder: Path) -> None:
    """A training that gets two signals in each window, as from the launcher and from the system."""
    checkpoint = Checkpoint(folder, "scratch", "key", cadence=1000)
    training = Training(model("scratch"), STREAM, VALID, settings(), 0, checkpoint, group=group)

    def terminate(_loss: torch.Tensor) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    training.step = Watched(training.step, terminate)
    training.run()


def test_what_the_launcher_and_the_system_both_send_stops_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "RESTARTS", 0)
    with pytest.raises(ValueError, match="ended with exit status 143"):  # not killed by the second one
        processes.run(stop_twice, 2, CPU, tmp_path)
    assert list(tmp_path.glob("*.safetensors"))


def agree(group: Group, _device: torch.device) -> None:
    assert group.highest(group.rank) == [1]


def tell_patience(group: Group, _device: torch.device) -> None:
    options: Any = distributed.distributed_c10d._get_default_group()._get_backend(CPU).options
    raise ValueError(f"{options._timeout.days} days")


def test_the_others_wait_for_hours_while_the_first_validates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", launcher.LOOPBACK)
    told: list[bytes] = []
    store = launcher.FileStore(str(tmp_path / "store"), 1)
    processes._take_part(store, told.append, 0, 1, tell_patience, CPU)
    assert re.match(r"\d\d days", str(processes._exception(*told)))


def test_a_device_that_cannot_be_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_device: int) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(torch.cuda, "set_device", refuse)
    told: list[bytes] = []
    processes._take_part(launcher.FileStore(str(tmp_path / "store")), told.append, 0, 1, agree, torch.device("cuda"))
    assert str(processes._exception(*told)) == "no such device"


def die(group: Group, _device: torch.device, number: int) -> None:
    group.highest(0)
    if not group.is_first:
        os.kill(os.getpid(), number)
    group.highest(0)


def test_one_that_is_lost_again_and_again(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(launcher, "RESTARTS", 1)
    with pytest.raises(ValueError, match=r"^process 2 of 2 was killed by SIGKILL, after 1 restarts\. Is there enough"):
        processes.run(die, 2, CPU, signal.SIGKILL)
    assert capfd.readouterr().err == "process 2 of 2 was killed by SIGKILL: all start again, restart 1 of 1\n"


def train_with_own_seed(group: Group, device: torch.device, root: Path) -> None:
    params = load_params(root / "params.yaml").model_copy(update={"seed": group.rank})
    experiment.train_together(group, device, "scratch", params, root)


def test_all_must_do_the_same_training(small_project: Project) -> None:
    small_project.set(train__processes=2)
    with pytest.raises(ValueError, match=r"^process 2 of 2 does not do the same training as the first: "):
        processes.run(train_with_own_seed, 2, CPU, small_project.root)
    assert not (small_project.root / "data/models/scratch.safetensors").exists()


def hang(group: Group, _device: torch.device) -> None:
    if group.is_first:
        raise ValueError("the first fails")
    signal.pause()


def test_one_that_does_not_notice_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.1)
    with pytest.raises(ValueError, match=r"^the first fails"):
        processes.run(hang, 2, CPU)


def end_late(group: Group, _device: torch.device) -> None:
    with Signals(launched=True) as signals:
        group.highest(0)
        if group.is_first:
            os.kill(os.getppid(), signal.SIGTERM)
        while not signals.received:
            time.sleep(0.01)
    time.sleep(1)  # as a long validation does
    raise Interrupted(signals.received)


def test_after_a_signal_they_have_all_the_time_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.1)
    with pytest.raises(Interrupted, match=r"^stopped by SIGTERM; the state is saved"):
        processes.run(end_late, 2, CPU)


@pytest.mark.parametrize(("threads", "count", "share"), [(8, 2, "4"), (2, 4, "1")])
def test_each_process_has_its_share_of_the_threads(
    threads: int, count: int, share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(processes, "launch", lambda *_: None)
    processes.run(agree, count, CPU)
    assert os.environ["OMP_NUM_THREADS"] == share


def test_a_store_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_place: str) -> None:
        raise distributed.DistStoreError("No space left on device")

    monkeypatch.setattr(launcher, "FileStore", full)
    with pytest.raises(OSError, match=r"^cannot write /.*/store: No space left on device$"):
        processes.run(agree, 2, CPU)


def tear_the_store(group: Group, _device: torch.device, folder: Path) -> None:
    """Leave half a record, as torch does where the disk is full, then fail."""
    group.highest(0)
    if group.is_first:
        (store,) = folder.glob("*/*")
        with store.open("ab") as file:
            file.write((100).to_bytes(8, sys.byteorder))
        raise OSError("the disk is full")
    group.highest(0)


def test_a_failure_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"^the disk is full"):
        processes.run(tear_the_store, 2, CPU, tmp_path)
    assert time.monotonic() - start < launcher.GRACE_SECONDS  # no process had to be killed


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ValueError("lr"), ValueError("lr")),
        (FileNotFoundError(2, "No such file", "x"), ValueError("[Errno 2] No such file: 'x'")),
        (MemoryError(), ValueError("there is not enough memory")),
        (KeyError("rank"), RuntimeError("KeyError('rank')")),
    ],
)
def test_a_failure_is_told_to_the_others(failure: Exception, told: Exception) -> None:
    arrived = processes._exception(processes._told(failure))
    assert (type(arrived), str(arrived)) == (type(told), str(told))


def test_ctrl_c_while_they_start(small_project: Project) -> None:
    small_project.set(train__processes=2)
    stage = small_project.start("train_scratch")
    wait_until(lambda: len(stage.workers()) == 2)
    time.sleep(0.5)  # they import
    for worker in stage.workers():  # as a terminal does
        worker.send_signal(signal.SIGINT)
    stage.send(signal.SIGINT)
    result = stage.wait()
    assert (result.exitcode, result.err) == (
        130,
        "train_scratch: stopped by SIGINT; the same command goes on from the last checkpoint, if there is one\n",
    )


def test_interfaces_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    started = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"^GLOO_SOCKET_IFNAME is eth9; the interfaces of this machine are .*lo"):
        processes.run(agree, 2, CPU)


def test_a_world_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(ValueError, match=r"^WORLD_SIZE is 8 without torchrun: start this with torchrun, or unset"):
        processes.run(agree, 2, CPU)


def stop_but_fail(group: Group, _device: torch.device) -> None:
    with Signals(launched=True) as signals:
        group.highest(0)  # both are ready for it
        if group.is_first:
            os.kill(os.getppid(), signal.SIGTERM)
        while not signals.received:
            time.sleep(0.01)
    if group.is_first:
        raise OSError("cannot write the checkpoint")
    raise Interrupted(signals.received)


def test_a_signal_does_not_hide_that_the_state_could_not_be_saved() -> None:
    with pytest.raises(ValueError, match=r"^cannot write the checkpoint"):
        processes.run(stop_but_fail, 2, CPU)


def end_by_a_signal(group: Group, _device: torch.device) -> None:
    if group.is_first:
        os.kill(os.getppid(), signal.SIGINT)
    with Signals(launched=True) as signals:
        while not signals.received:
            time.sleep(0.01)
    raise Interrupted(signals.received)


@pytest.mark.usefixtures("interruptible")
def test_the_signal_that_came_is_told() -> None:
    with pytest.raises(Interrupted, match=r"^stopped by SIGINT; the state is saved"):
        processes.run(end_by_a_signal, 2, CPU)
