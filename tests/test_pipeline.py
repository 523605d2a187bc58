"""The pipeline end to end, in a project of its own, through DVC's command line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SMALL = {"corpus.name": "sample", "model.hidden": "8", "train.epochs": "3", "evaluate.length": "10"}
DETERMINISTIC = [
    "data/models/scratch.safetensors",
    "data/models/concise.safetensors",
    "plots/curve_scratch.tsv",
    "plots/curve_concise.tsv",
    "metrics/tokenize.json",
    "metrics/train_scratch.json",
    "metrics/train_concise.json",
    "metrics/evaluate.json",
    "metrics/generated.json",
]


class Project:
    """A copy of this project with a git repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unwanted = shutil.ignore_patterns(
            ".venv", ".git", "cache", "tmp", "__pycache__", "report", "raw", "tokens", "models", "*.egg-info", "dvc.lock"
        )
        shutil.copytree(ROOT, folder, ignore=unwanted)
        for results in ("metrics", "plots"):
            shutil.rmtree(folder / results, ignore_errors=True)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        return self.run("git", *identity, *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def run(self, *command: str) -> str:
        """The command's output; its failure fails the test with what it printed."""
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": binaries, "PYTHONPATH": str(self.folder / "src"), "COLUMNS": "500"}
        result = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def metrics(self, name: str) -> dict:
        return json.loads((self.folder / f"metrics/{name}.json").read_text())

    def contents(self, paths: list[str]) -> dict[str, bytes]:
        return {path: (self.folder / path).read_bytes() for path in paths}


def ran(output: str) -> set[str]:
    """The stages that DVC says it ran."""
    return {name for name in STAGES if f"Running stage '{name}'" in output}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A small run of the whole pipeline, with its results committed."""
    project = Project(tmp_path_factory.mktemp("pipeline") / "project")
    text = (project.folder / "params.yaml").read_text()
    for old, new in {"time_machine ": "sample ", "hidden: 256": "hidden: 8", "epochs: 500": "epochs: 3"}.items():
        assert old in text
        text = text.replace(old, new)
    (project.folder / "params.yaml").write_text(text)
    assert ran(project.dvc("repro")) == set(STAGES)
    project.commit()
    return project


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_modules_that_the_stage_imports(name: str) -> None:
    script = STAGES[name]["cmd"].split()[1]
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*(m for m in sys.modules if m.startswith('lstm_lm.')))"
    result = subprocess.run([sys.executable, "-c", code, script], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {f"src/{module.replace('.', '/')}.py" for module in result.stdout.split()}
    declared = {dependency for dependency in STAGES[name]["deps"] if dependency.startswith("src/")}
    assert declared == imported
    assert script in STAGES[name]["deps"]


def test_every_result_names_its_corpus(project: Project) -> None:
    files = list((project.folder / "metrics").glob("[!e]*.json")) + [project.folder / "metrics/evaluate.json"]
    assert len(files) == 8
    assert {json.loads(file.read_text())["corpus"] for file in files} == {"sample"}
    assert "sample" in (project.folder / "plots/generated.txt").read_text()


def test_held_out_perplexity_is_the_same_while_and_after_training(project: Project) -> None:
    for kind in ("scratch", "concise"):
        trained = project.metrics(f"train_{kind}")["valid_perplexity"]
        assert project.metrics("evaluate")[kind]["valid"]["perplexity"] == pytest.approx(trained, rel=1e-6)


def test_scratch_weights_mean_the_same_in_the_library(project: Project) -> None:
    assert project.metrics("compare")["max_logit_difference"] < 1e-4


def test_a_second_repro_runs_nothing(project: Project) -> None:
    assert ran(project.dvc("repro")) == set()
    assert project.git("status", "--porcelain") == ""


def test_forced_runs_give_the_same_bytes(project: Project) -> None:
    before = project.contents(DETERMINISTIC)
    assert ran(project.dvc("repro", "--force")) == set(STAGES)
    assert project.contents(DETERMINISTIC) == before
    project.git("checkout", "--quiet", ".")
    project.dvc("checkout", "--quiet")


def test_an_experiment_is_shown_compared_and_reverted_from_the_run_cache(project: Project) -> None:
    output = project.dvc("exp", "run", "--name", "wider", "-S", "model.hidden=12")
    assert ran(output) == {"train_scratch", "train_concise", "evaluate", "compare"}
    changes = json.loads(project.dvc("metrics", "diff", "--json"))["metrics/evaluate.json"]
    change = changes["diff"] if "diff" in changes else changes
    assert change["scratch.valid.perplexity"]["old"] != change["scratch.valid.perplexity"]["new"]
    assert "hidden" in project.dvc("params", "diff")
    plots = project.dvc("plots", "diff", "--out", "compared")
    assert (project.folder / "compared/index.html").is_file(), plots
    assert "wider" in project.dvc("exp", "show", "--csv")
    project.git("checkout", "--quiet", ".")
    again = project.dvc("repro")
    assert not ran(again) & {"train_scratch", "train_concise"}, again
    shutil.rmtree(project.folder / "compared")


def test_editing_the_evaluation_retrains_nothing(project: Project) -> None:
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("length: 50", "length: 20"))
    assert ran(project.dvc("repro")) == {"evaluate"}
    project.git("checkout", "--quiet", ".")
    project.dvc("repro")


def test_plain_repro_never_swaps_the_corpus(project: Project) -> None:
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("name: sample", "name: not_there"))
    try:
        result = subprocess.run(
            [sys.executable, "stages/fetch.py"],
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "not_there" in result.stderr
        assert "Traceback" not in result.stderr
    finally:
        project.git("checkout", "--quiet", ".")
