"""`make current` tells results that are out of date from a DVC that cannot tell."""

import fcntl
import json
import os
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from reported import git, run, tool
from tools.checks.current import outdated, uncommitted
from tools.project import Busy


def test_results_are_current_until_the_code_changes(project: Path) -> None:
    (project / "data/models/scratch.safetensors").unlink()
    judged = tool(project, "checks.current")
    assert (judged.returncode, judged.stdout) == (0, "The results are current.\n"), judged.stderr

    with (project / "train.py").open("a") as script:
        script.write("# changed\n")
    judged = tool(project, "checks.current")
    assert judged.returncode == 1
    assert judged.stderr.startswith("The results are out of date (changed: train): run 'dvc repro'")


def test_a_stage_that_read_other_data_than_the_lock_names_is_out_of_date(project: Path) -> None:
    model, script, repro = "data/models/scratch.safetensors", project / "train.py", ("-m", "dvc", "repro", "--quiet")
    with (project / "dvc.yaml").open("a") as pipeline:
        pipeline.write(f"  use:\n    cmd: cat {model}\n    deps: [{model}]\n")
    assert run(project, sys.executable, *repro).returncode == 0
    script.write_text(script.read_text().replace("weights", "others"))
    assert run(project, sys.executable, *repro, "--single-item", "train").returncode == 0
    (project / model).unlink()
    assert "out of date (changed: use)" in tool(project, "checks.current").stderr


def test_results_that_are_current_may_not_be_committed(project: Path) -> None:
    (project / ".gitignore").write_text("/data\n")
    git(project, "init", "-q")
    git(project, "add", "dvc.yaml", "train.py", ".dvc", ".gitignore", "metrics/train_scratch.json")
    git(project, "commit", "-qm", "without the lock")
    uncommitted = "The results are current, but not committed: dvc.lock, metrics/throughput_scratch.json.\n"
    judged = tool(project, "checks.current")
    assert (judged.returncode, judged.stdout) == (0, uncommitted), judged.stderr
    git(project, "add", ".")
    assert tool(project, "checks.current").stdout == uncommitted
    git(project, "commit", "-qm", "results")
    assert tool(project, "checks.current").stdout == "The committed results are current.\n"


def test_a_result_that_git_lacks_is_out_of_date(project: Path) -> None:
    (project / "metrics/throughput_scratch.json").unlink()
    assert "out of date (changed: train)" in tool(project, "checks.current").stderr


def test_where_git_fails_nobody_says_that_the_results_are_committed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "init", "-q")
    monkeypatch.setattr("tools.checks.current.git", lambda *_: None)
    with pytest.raises(ValueError, match=r"^git cannot tell what is committed"):
        uncommitted(project)


def test_a_stage_whose_data_are_not_here_is_out_of_date_when_it_changes(project: Path) -> None:
    stage = (
        "  use:\n    cmd: cat data/models/scratch.safetensors\n    deps: [data/models/scratch.safetensors, use.txt]\n"
    )
    with (project / "dvc.yaml").open("a") as pipeline:
        pipeline.write(stage)
    (project / "use.txt").write_text("1")
    assert run(project, sys.executable, "-m", "dvc", "repro", "--quiet").returncode == 0
    (project / "data/models/scratch.safetensors").unlink()
    assert tool(project, "checks.current").returncode == 0
    (project / "use.txt").write_text("2")
    assert "out of date (changed: use)" in tool(project, "checks.current").stderr


def test_a_merge_conflict_is_not_called_out_of_date(project: Path) -> None:
    lock = project / "dvc.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text())
    judged = tool(project, "checks.current")
    assert (judged.returncode, judged.stdout) == (1, "")
    assert judged.stderr == "current: dvc: unable to read: 'dvc.lock', YAML file structure is corrupted\n"


def test_a_project_without_results_is_out_of_date(project: Path) -> None:
    (project / "dvc.lock").unlink()
    assert "out of date (changed: train)" in tool(project, "checks.current").stderr


def test_a_lock_that_another_process_holds_is_not_called_out_of_date(project: Path) -> None:
    with Repo(str(project)) as repo, repo.lock:
        judged = tool(project, "checks.current")
    assert judged.returncode == 1
    assert judged.stderr.startswith("current: dvc: Unable to acquire lock.")


def test_a_stage_that_another_dvc_runs_is_not_called_out_of_date(project: Path) -> None:
    output = str(project / "metrics/train_scratch.json")
    writing = {output: {"pid": os.getppid(), "cmd": "dvc repro"}}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps({"write": writing}))
    with pytest.raises(Busy, match=r"^dvc: .* is busy, it is being blocked by: \(PID \d+\): dvc repro If"):
        outdated(project)


@pytest.mark.parametrize("left", [b"", b'{"write": {"/a'])
def test_a_table_of_locks_that_a_stopped_dvc_left_half_written_is_removed(project: Path, left: bytes) -> None:
    for folder in (".dvc/tmp", ".dvc/tmp/exps"):
        (project / folder).mkdir(exist_ok=True)
        (project / folder / "rwlock").write_bytes(left)
    assert outdated(project) == []
    assert not (project / ".dvc/tmp/exps/rwlock").exists()
    assert run(project, sys.executable, "-m", "dvc", "status").returncode == 0


def test_the_table_of_locks_stays_while_dvc_runs(project: Path) -> None:
    table = project / ".dvc/tmp/rwlock"
    table.write_bytes(b"")
    (project / "stages").mkdir()
    (project / "stages/train.py").touch()
    with (project / "stages/train.py").open() as script:
        fcntl.flock(script, fcntl.LOCK_SH)
        with pytest.raises(ValueError, match=r"^dvc: Unable to read RWLock-file"):
            outdated(project)
    with Repo(str(project)) as repo, repo.lock, pytest.raises(Busy, match="Unable to acquire lock"):
        outdated(project)
    assert table.exists()


def test_a_missing_dvc_is_not_called_out_of_date(project: Path) -> None:
    (project / "dvc.py").write_text("raise ImportError('no DVC here')")
    judged = tool(project, "checks.current")
    assert judged.returncode == 1
    assert judged.stderr.endswith("ImportError: no DVC here\n")
