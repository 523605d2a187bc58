"""`make current` tells results that are out of date from a DVC that fails."""

import subprocess
import sys
from pathlib import Path

from dvc.repo import Repo

from reported import run


def current(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "tools.checks.current")


def test_results_are_current_until_the_code_changes(project: Path) -> None:
    (project / "data/models/scratch.safetensors").unlink()
    judged = current(project)
    assert (judged.returncode, judged.stdout) == (0, "The committed results are current.\n"), judged.stderr

    with (project / "train.py").open("a") as script:
        script.write("# changed\n")
    judged = current(project)
    assert judged.returncode == 1
    assert judged.stderr.startswith("The committed results are out of date (changed: train): run 'dvc repro'")


def test_a_stage_whose_data_are_not_here_is_out_of_date_when_it_changes(project: Path) -> None:
    stage = (
        "  use:\n    cmd: cat data/models/scratch.safetensors\n    deps: [data/models/scratch.safetensors, use.txt]\n"
    )
    with (project / "dvc.yaml").open("a") as pipeline:
        pipeline.write(stage)
    (project / "use.txt").write_text("1")
    assert run(project, sys.executable, "-m", "dvc", "repro", "--quiet").returncode == 0
    (project / "data/models/scratch.safetensors").unlink()
    assert current(project).returncode == 0
    (project / "use.txt").write_text("2")
    assert "out of date (changed: use)" in current(project).stderr


def test_a_merge_conflict_is_not_called_out_of_date(project: Path) -> None:
    lock = project / "dvc.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text())
    judged = current(project)
    assert (judged.returncode, judged.stdout) == (1, "")
    assert judged.stderr == "current: dvc failed: './dvc.lock' is invalid (possible merge conflicts).\n"


def test_a_lock_that_another_process_holds_is_not_called_out_of_date(project: Path) -> None:
    with Repo(str(project)).lock:
        judged = current(project)
    assert judged.returncode == 1
    assert judged.stderr.startswith("current: dvc failed: Unable to acquire lock.")


def test_a_missing_dvc_is_not_called_out_of_date(project: Path) -> None:
    (project / "dvc.py").write_text("raise SystemExit('No module named dvc')")
    assert current(project).stderr == "current: dvc failed: No module named dvc\n"
