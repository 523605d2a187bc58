"""A small project for the commands that `make` calls."""

import shutil
import sys
from pathlib import Path

import pytest

from projects import ROOT, params_text, set_params
from reported import HOSTILE, PREFIX, commit, make_project, run, tool, write_results

PIPELINE = """\
stages:
  train:
    cmd: "{python} train.py"
    deps: [train.py]
    outs: [data/models/scratch.safetensors]
    metrics:
      - metrics/train_scratch.json: {{cache: false}}
      - metrics/throughput_scratch.json: {{cache: false}}
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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with the pipeline's layout, run once, without git; for copies only."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n")
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
    (folder / "train.py").write_text(TRAIN)
    (folder / "params.yaml").write_text(params_text())
    (folder / "data/corpora").mkdir(parents=True)
    shutil.copy(ROOT / "data/corpora/sample.yaml", folder / "data/corpora")
    made = run(folder, sys.executable, "-m", "dvc", "repro", "--quiet")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished`."""
    return shutil.copytree(finished, tmp_path / "a project")


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `make report`: better than its base, with another model.hidden and more epochs."""
    root = make_project(tmp_path_factory.mktemp("reported") / "project")
    write_results(root, scale=1.25, epochs=50)
    commit(root, HOSTILE)
    write_results(root, scale=1.0, text=f"for so it {HOSTILE}", hidden=64)
    set_params(root, model__hidden=64, evaluate__prefixes=[PREFIX, HOSTILE])
    done = tool(root, "report", "HEAD")
    assert done.returncode == 0, done.stderr
    return root
