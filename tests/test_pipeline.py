"""The pipeline end to end, in a project of its own, through DVC's command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lstm_lm.core.json_file import read_json
from repository import ROOT, STAGES, Repository, ran
from tools.checks import small


@pytest.fixture(scope="module")
def project(trained: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A small run of the whole pipeline, with its results committed, for this module alone."""
    return trained.copy_to(tmp_path_factory.mktemp("pipeline") / "project")


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Script -> the modules of the package that it imports, however deep."""
    scripts = [stage["cmd"].split()[-1] for stage in STAGES.values()]
    code = """
import json, runpy, sys
import matplotlib.pyplot, pandas, torch  # once for all scripts
imported = {}
for script in sys.argv[1:]:
    runpy.run_path(script)
    names = [name for name in sys.modules if name.split(".")[0] == "lstm_lm"]
    for name in names:
        del sys.modules[name]
    imported[script] = [name for name in names if name != "lstm_lm"]
print(json.dumps(imported))
"""
    command = [sys.executable, "-c", code, *scripts]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_what_the_stage_imports(name: str, imported: dict[str, list[str]]) -> None:
    script = STAGES[name]["cmd"].split()[-1]
    package = ROOT / "src/lstm_lm"
    parts = {module.split(".")[1] for module in imported[script]} | {"__init__"}
    used = {f"src/lstm_lm/{part}" if (package / part).is_dir() else f"src/lstm_lm/{part}.py" for part in parts}
    assert {dependency for dependency in STAGES[name]["deps"] if dependency.startswith("src/")} == used
    assert script in STAGES[name]["deps"]


FREEZABLE = [name for name in STAGES if name != "fetch"]
"""DVC freezes no stage with a template, such as ${corpus.name}."""


def test_dvc_yaml_is_written_as_dvc_writes_it(trained: Repository, tmp_path: Path) -> None:
    repository = trained.copy_to(tmp_path / "project")
    repository.dvc("freeze", *FREEZABLE)
    changed = repository.git("diff", "--unified=0", "--", "dvc.yaml").splitlines()[4:]
    assert [line for line in changed if not line.startswith("@@")] == ["+    frozen: true"] * len(FREEZABLE)
    repository.dvc("unfreeze", *FREEZABLE)
    assert repository.git("status", "--porcelain", "--", "dvc.yaml") == ""


LEFT_BEHIND = ("__pycache__/x.cpython-311.pyc", "__pycache__/lstm_native-0.so", "lstm_fused.py~", ".lstm_fused.py.swp")


def test_what_programs_leave_behind_is_no_change(project: Repository) -> None:
    left = [project.folder / "src/lstm_lm/model" / name for name in LEFT_BEHIND]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left behind")
    assert ran(project.dvc("repro", "--dry")) == set()
    for path in left:
        path.unlink()


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("src/lstm_lm/model/lstm_fused.py", {"train_scratch", "train_concise"}),
        ("tools/report/page.py", set()),
        ("src/lstm_lm/comparison/plots.py", {"compare"}),
    ],
)
def test_a_change_in_a_folder_runs_the_stages_that_use_it(project: Repository, file: str, stages: set[str]) -> None:
    path = project.folder / file
    path.write_text(path.read_text() + "\n# changed\n")
    planned = ran(project.dvc("repro", "--dry"))
    assert stages <= planned
    assert bool(planned & {"train_scratch", "train_concise"}) == file.startswith("src/lstm_lm/model/")
    assert bool(planned) == bool(stages)
    project.git("checkout", "--quiet", ".")


def test_every_result_names_its_corpus(project: Repository) -> None:
    files = [*(project.folder / "metrics").glob("[!e]*.json"), project.folder / "metrics/evaluate.json"]
    assert len(files) == 11
    assert {read_json(file)["corpus"] for file in files} == {"sample"}
    assert "sample" in (project.folder / "plots/generated.txt").read_text()


def test_no_cell_of_a_table_is_empty(project: Repository) -> None:
    tables = list((project.folder / "plots").glob("*.tsv"))
    assert len(tables) == 10
    for table in tables:  # DVC would draw it as zero
        assert "" not in table.read_text().replace("\t", "\n").splitlines(), table


def metrics(project: Repository, name: str) -> dict[str, Any]:
    return read_json(project.folder / f"metrics/{name}.json")


def test_held_out_perplexity_is_the_same_while_and_after_training(project: Repository) -> None:
    for kind in ("scratch", "concise"):
        trained = metrics(project, f"train_{kind}")["valid_perplexity"]
        assert metrics(project, "evaluate")[kind]["valid"]["perplexity"] == pytest.approx(trained, rel=1e-6)


def test_scratch_weights_mean_the_same_in_the_library(project: Repository) -> None:
    assert metrics(project, "evaluate")["max_logit_difference"] < 1e-4


def test_a_second_repro_runs_nothing(project: Repository) -> None:
    assert ran(project.dvc("repro")) == set()
    assert project.git("status", "--porcelain") == ""


def test_forced_runs_give_the_same_bytes(project: Repository) -> None:
    before = small.record(project.folder)
    assert {"data/models/concise.safetensors", "metrics/evaluate.json"} < before["sha256"].keys()
    assert ran(project.dvc("repro", "--force")) == set(STAGES)
    assert small.record(project.folder) == before
    project.restore()


def test_an_experiment_is_shown_compared_and_reverted_from_the_run_cache(project: Repository) -> None:
    output = project.dvc("exp", "run", "--name", "same-start", "-S", "concise.init=shared")
    assert ran(output) == {"train_concise", "evaluate", "compare"}
    changes = json.loads(project.dvc("metrics", "diff", "--json"))["metrics/concise.json"]
    change = changes.get("diff", changes)
    assert change["valid_perplexity"]["old"] != change["valid_perplexity"]["new"]
    for table in ("show", "diff"):
        lines = project.dvc("metrics", table).splitlines()
        assert len(lines) > 2
        assert max(map(len, lines)) <= 110  # of 120: other corpora have names of ten characters more
    assert "concise.init" in project.dvc("params", "diff")
    plots = project.dvc("plots", "diff", "--out", "compared")
    assert (project.folder / "compared/index.html").is_file(), plots
    assert "same-start" in project.dvc("exp", "show", "--csv")
    project.git("checkout", "--quiet", ".")
    assert ran(project.dvc("repro", "train_concise")) == set()
    shutil.rmtree(project.folder / "compared")
    project.restore()


def test_editing_the_evaluation_retrains_nothing(project: Repository) -> None:
    project.set(evaluate__length=20)
    assert ran(project.dvc("repro")) == {"evaluate"}
    project.restore()


@pytest.mark.parametrize("shell", ["sh", "bash", "fish", "tcsh"])
def test_a_training_saves_and_ends_with_the_dvc_that_started_it(project: Repository, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell} here")
    project.set(train__epochs=10**6)
    output = project.end_dvc("repro", "--single-item", "train_scratch", until="epoch 1/", shell=path)
    assert output.endswith("stopped by SIGTERM; the state is saved, the same command goes on\n")
    assert list(project.folder.glob(".checkpoints/scratch-*.safetensors"))
    shutil.rmtree(project.folder / ".checkpoints")
    project.restore()
