"""Temporary files: those of a writer that was killed go, those of one that is at work stay."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

from lstm_lm.core import atomic
from lstm_lm.core.atomic import remove_stale, replacing, write_bytes
from stage_process import wait_until

STOP = """
import os, signal, sys
from pathlib import Path
from lstm_lm.core.atomic import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), int(sys.argv[2]))
"""


def stopped(path: Path, number: signal.Signals) -> subprocess.Popen[bytes]:
    """A process that a signal has stopped while it writes `path`."""
    process = subprocess.Popen([sys.executable, "-c", STOP, str(path), str(int(number))])
    if number == signal.SIGKILL:
        process.wait()
    else:
        status = psutil.Process(process.pid).status
        wait_until(lambda: bool(list(path.parent.glob(".*.tmp"))) and status() == psutil.STATUS_STOPPED)
    return process


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a [1].json"
    for _ in range(2):
        stopped(path, signal.SIGKILL)
        assert len(list(tmp_path.iterdir())) == 1
    write_bytes(path, b"whole")
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    process = stopped(path, signal.SIGSTOP)
    write_bytes(path, b"whole")
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(signal.SIGCONT)
    process.wait()
    process = stopped(path, signal.SIGSTOP)
    process.kill()
    process.wait()
    remove_stale(path)
    assert list(tmp_path.iterdir()) == [path]


def test_only_own_names_are_removed(tmp_path: Path) -> None:
    others = [
        tmp_path / name for name in (".a.json.mine.tmp", ".a.json.0123456.tmp", ".b.json.01234567.tmp", "a.json.tmp")
    ]
    for other in others:
        other.touch()
    write_bytes(tmp_path / "a.json", b"")
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a.json"])


def test_one_that_is_found_before_it_is_locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, lock, removed = tmp_path / "a.json", atomic.fcntl.flock, list[Path]()

    def remove_then_lock(file: BinaryIO, how: int) -> None:
        monkeypatch.setattr(atomic.fcntl, "flock", lock)
        removed.extend(tmp_path.iterdir())
        remove_stale(path)
        lock(file, how)

    monkeypatch.setattr(atomic.fcntl, "flock", remove_then_lock)
    with replacing(path) as file:
        file.write(b"whole")
    assert len(removed) == 1
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"whole"
