import os
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    outs: [data/models/scratch.safetensors]
    metrics:
      - metrics/train_scratch.json: {cache: false}
      - metrics/throughput_scratch.json: {cache: false}
"""

TRAIN = """\
import time
from pathlib import Path
Path("data/models").mkdir(parents=True, exist_ok=True)
Path("metrics").mkdir(exist_ok=True)
Path("data/models/scratch.safetensors").write_text("weights")
Path("metrics/train_scratch.json").write_text('{"perplexity": 1.5}')
Path("metrics/throughput_scratch.json").write_text(f'{{"seconds": {time.time()}}}')
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` with this Python first on PATH, as `make` does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    environment = {**os.environ, **identity, "PATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "lstm_lm.workbench.verify")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project with the pipeline's layout, run once, without git."""
    folder = tmp_path / "a project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n")
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "train.py").write_text(TRAIN)
    made = run(folder, sys.executable, "-m", "dvc", "repro", "--quiet")
    assert made.returncode == 0, made.stderr
    return folder


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
        assert run(project, "git", *command).returncode == 0
    (project / "metrics/train_scratch.json").write_text('{"perplexity": 7.5}')
    assert verify(project).returncode == 0

    assert run(project, "git", "commit", "-qam", "a result that the code does not give").returncode == 0
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


def test_results_are_current_until_the_code_changes(project):
    script = Path(__file__).parents[2] / "scripts/check_current.sh"
    (project / "scripts").mkdir()
    (project / "scripts/check_current.sh").write_bytes(script.read_bytes())
    (project / "data/models/scratch.safetensors").unlink()
    current = run(project, "bash", "scripts/check_current.sh")
    assert (current.returncode, current.stdout.splitlines()[-1]) == (0, "The committed results are current.")

    (project / "train.py").write_text(TRAIN + "# changed\n")
    stale = run(project, "bash", "scripts/check_current.sh")
    assert stale.returncode == 1
    assert "out of date" in stale.stderr
