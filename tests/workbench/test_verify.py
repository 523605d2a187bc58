import subprocess
import sys
from pathlib import Path

from reported import git, run


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "lstm_lm.workbench.verify")


def test_a_reproducible_project_is_reproduced(project):
    verified = verify(project)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    lines = [line.split() for line in verified.stdout.splitlines()]
    assert ["data/models/scratch.safetensors", "identical"] in lines
    assert ["metrics/train_scratch.json", "identical"] in lines
    assert ["metrics/throughput_scratch.json", "measured", "anew", "holds", "or", "shows", "times"] in lines
    assert not (project / ".dvc/config.local").exists(), "the project itself is left alone"


def test_the_committed_results_count_not_those_in_the_work_tree(project):
    (project / ".gitignore").write_text("/data\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "results"]):
        git(project, *command)
    (project / "metrics/train_scratch.json").write_text('{"perplexity": 7.5}')
    assert verify(project).returncode == 0

    git(project, "commit", "-qam", "a result that the code does not give")
    verified = verify(project)
    assert verified.returncode == 1
    assert "80.00% at perplexity, 50.0% allowed" in verified.stdout


def test_a_pipeline_that_fails_is_not_reproduced(project):
    (project / "train.py").write_text("raise SystemExit('broken on purpose')")
    verified = verify(project)
    assert verified.returncode == 1
    assert "verify: the pipeline failed" in verified.stderr


def test_without_results_there_is_nothing_to_verify(tmp_path):
    verified = verify(tmp_path)
    assert verified.returncode == 1
    assert "dvc.lock" in verified.stderr
    assert "Traceback" not in verified.stderr


def test_in_a_subfolder_of_a_repository_the_commit_counts(project: Path) -> None:
    (project / ".gitignore").write_text("/data\n")
    git(project.parent, "init", "-q")
    git(project.parent, "add", ".")
    git(project.parent, "commit", "-qm", "results")
    (project / "train.py").write_text("raise SystemExit('not committed')")
    verified = verify(project)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "The results are reproduced." in verified.stdout


def test_a_repository_that_does_not_know_the_project_is_left_alone(project: Path) -> None:
    git(project.parent, "init", "-q")
    git(project.parent, "commit", "-qm", "nothing", "--allow-empty")
    assert verify(project).returncode == 0
