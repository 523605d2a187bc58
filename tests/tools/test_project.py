"""A copy of the project is removed whatever ends the command, and has a git of its own; DVC follows git."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reported import commit, git, run, tool
from stage_process import wait_until
from tools.project import copy_project, digests, follow_git

SAVING = """\
import signal, sys, time
from pathlib import Path
def save(*_):
    time.sleep(0.5)
    Path({saved!r}).touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
Path({started!r}).touch()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_stage_and_removes_the_copy(
    number: signal.Signals, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, saved, temporary = (tmp_path / name for name in ("started", "saved", "temporary"))
    (project / "train.py").write_text(SAVING.format(saved=str(saved), started=str(started)))
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    command = [sys.executable, "-m", "tools.checks.verify"]
    hearing = functools.partial(signal.signal, number, signal.SIG_DFL)  # nohup ignores SIGHUP
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=hearing
    ) as running:
        wait_until(started.exists)
        assert len(list(temporary.glob("lstm-lm-verify-*"))) == 1
        running.send_signal(number)
        assert running.wait(60) == 128 + number
    assert saved.exists(), "the stage saves its state first"
    assert list(temporary.glob("lstm-lm-*")) == []


def test_a_folder_in_a_versioned_remote_has_a_digest(tmp_path: Path) -> None:
    lock = "stages: {a: {outs: [{path: x, md5: '1'}, {path: y, files: [{relpath: z, md5: '2'}]}]}}"
    (tmp_path / "dvc.lock").write_text(lock)
    assert digests(tmp_path) == {"x": "1", "y": '[{"md5": "2", "relpath": "z"}]'}


def test_in_a_git_hook_the_copy_leaves_the_index_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".gitignore").write_text("/data\n")
    git(project, "init", "-q")
    commit(project, "results")
    (project / "staged.txt").touch()
    git(project, "add", "staged.txt")
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(project / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(project / ".git/index"))
        done = tool(project, "checks.verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(project, "git", "status", "--porcelain").stdout == "A  staged.txt\n"


def test_a_copy_of_the_last_commit_says_that_changes_are_left_out(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ("params.yaml", "src/code.py", "stages/train.py")
    for name in changed:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("before\n")
    git(project, "init", "-q")
    commit(project, "results")
    copy_project(project, tmp_path / "as committed")
    assert capsys.readouterr().err == ""
    for name in changed:
        (project / name).write_text("after\n")
        copy_project(project, tmp_path / name.replace("/", " "))
        assert capsys.readouterr().err == "What is not committed is left out: this runs the last commit.\n"
        git(project, "checkout", "-q", ".")


def test_where_git_refuses_nothing_is_taken_for_committed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".git").mkdir()  # git refuses it, as a repository of another owner
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    with pytest.raises(OSError, match=r"^git cannot tell what is committed"):
        copy_project(project, tmp_path / "copy")


def test_dvc_does_without_git_until_there_is_one(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    local = tmp_path / ".dvc/config.local"
    local.write_text("[cache]\n    dir = /somewhere\n")
    follow_git(tmp_path)
    assert "no_scm = true" in local.read_text()
    (tmp_path / ".git").mkdir()
    follow_git(tmp_path)
    assert "no_scm" not in local.read_text()
    assert "dir = /somewhere" in local.read_text()
    written = local.stat().st_mtime_ns
    follow_git(tmp_path)
    assert local.stat().st_mtime_ns == written
