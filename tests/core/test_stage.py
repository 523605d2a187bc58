"""A stage that cannot go on says why in one line."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm_lm.core import stage
from lstm_lm.core.stage import one_line
from projects import Project

STAGES = Path(__file__).parents[2] / "stages"
TOO_LARGE = 2**47


def test_no_memory_for_torch() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(TOO_LARGE)
    line = one_line(raised.value)
    assert line
    assert line.startswith("there is not enough memory: ")
    assert "you tried to allocate" in line
    assert "\n" not in line


def test_no_memory_for_python() -> None:
    with pytest.raises(MemoryError) as raised:
        np.empty(TOO_LARGE)
    line = one_line(raised.value)
    assert line
    assert line.startswith("there is not enough memory: Unable to allocate ")
    assert one_line(MemoryError()) == "there is not enough memory"


def test_other_errors_are_told_as_they_are() -> None:
    assert one_line(ValueError("train.lr is 0")) == "train.lr is 0"
    assert one_line(FileNotFoundError(2, "No such file", "x")) == "[Errno 2] No such file: 'x'"
    assert one_line(RuntimeError("shape mismatch")) is None
    assert one_line(KeyError("x")) is None


def test_a_file_system_without_locks_stops_no_stage(bare_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    monkeypatch.chdir(bare_project.root)
    monkeypatch.setattr(sys, "argv", ["stages/fetch.py"])
    ran = []
    stage.run(lambda *_: ran.append(stage.is_running("fetch", Path())))
    assert ran == [False]


def test_a_stage_without_memory(tmp_path: Path) -> None:
    code = f"""
import sys
import numpy
from lstm_lm.core import stage
from lstm_lm.core.params import load_params
stage.load_params = lambda path: None
sys.argv = [{str(tmp_path / "train.py")!r}]
stage.run(lambda params, root: numpy.empty({TOO_LARGE}))
"""
    (tmp_path / "train.py").touch()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("train: there is not enough memory: Unable to allocate ")
    assert done.stderr.count("\n") == 1


def test_words_need_more_address_space(tokenized: Project, tmp_path: Path) -> None:
    """Polars ends the process where it gets no memory."""
    project = tokenized.copy_of(tmp_path / "project")
    project.set(tokenize__level="word")
    command = f'ulimit -v 1000000; exec "{sys.executable}" "{STAGES}/tokenize_corpus.py"'
    done = subprocess.run(["sh", "-c", command], cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "tokenize_corpus: ulimit -v is 1000000; for tokenize.level word it must be unlimited or at least 2097152\n"
    )
