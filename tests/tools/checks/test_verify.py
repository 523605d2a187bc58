import json
import re
from pathlib import Path

import pandas as pd
import pytest

from reported import commit, git, tool
from tools.checks.verdict import ENVIRONMENT
from tools.checks.verify import report

KERNELS_APART, SEEDS_APART = 2e-7, 2e-3
"""Relative distances of train curves, measured on the default parameters (see `verdict.ROUNDING`)."""


def test_a_reproducible_project_is_reproduced(project):
    verified = tool(project, "checks.verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Deterministic results: 2 of 2 are identical." in verified.stdout
    lines = [line.split() for line in verified.stdout.splitlines()]
    assert ["data/models/scratch.safetensors", "identical"] in lines
    assert ["metrics/train_scratch.json", "identical"] in lines
    assert ["metrics/throughput_scratch.json", "measured", "again", "holds", "or", "shows", "times"] in lines
    assert not (project / ".dvc/config.local").exists(), "the project itself is left alone"


def test_the_committed_results_count_not_those_in_the_work_tree(project):
    (project / ".gitignore").write_text("/data\n")
    git(project, "init", "-q")
    commit(project, "results")
    (project / "metrics/train_scratch.json").write_text('{"perplexity": 7.5}')
    assert tool(project, "checks.verify").returncode == 0

    git(project, "commit", "-qam", "a result that the code does not give")
    verified = tool(project, "checks.verify")
    assert verified.returncode == 1
    assert re.search(r"DIFFERENT +perplexity: 7\.5 -> 1\.5", verified.stdout)


def test_a_text_that_git_does_not_have_comes_from_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".gitignore").write_text("/data\n")
    with (project / "train.py").open("a") as script:
        script.write("import os\nPath(os.environ['CORPUS_MIRROR'], 'sample.yaml').read_bytes()\n")
    git(project, "init", "-q")
    commit(project, "results")
    monkeypatch.delenv("CORPUS_MIRROR", raising=False)
    verified = tool(project, "checks.verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_it_runs_anew_although_the_copy_shares_a_cache(project: Path) -> None:
    with (project / ".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {project / '.dvc/cache'}\n")
    verified = tool(project, "checks.verify")
    assert "Running stage 'train'" in verified.stdout, verified.stderr


def test_a_pipeline_that_fails_is_not_reproduced(project):
    (project / "train.py").write_text("raise SystemExit('broken on purpose')")
    verified = tool(project, "checks.verify")
    assert verified.returncode == 1
    assert "verify: the pipeline failed" in verified.stderr


def test_without_results_there_is_nothing_to_verify(tmp_path):
    verified = tool(tmp_path, "checks.verify")
    assert verified.returncode == 1
    assert "dvc.lock" in verified.stderr
    assert "Traceback" not in verified.stderr


def test_in_a_subfolder_of_a_repository_the_commit_counts(project: Path) -> None:
    (project / ".gitignore").write_text("/data\n")
    git(project.parent, "init", "-q")
    commit(project.parent, "results")
    (project / "train.py").write_text("raise SystemExit('not committed')")
    verified = tool(project, "checks.verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "The results are reproduced." in verified.stdout


def test_a_repository_that_does_not_know_the_project_is_left_alone(project: Path) -> None:
    git(project.parent, "init", "-q")
    git(project.parent, "commit", "-qm", "nothing", "--allow-empty")
    assert tool(project, "checks.verify").returncode == 0


def trained(device: str, apart: float = 0.0) -> dict[str, bytes]:
    """The results of a training on a device, its curve a relative `apart` away from that of another one."""
    epochs = pd.RangeIndex(1, 61, name="epoch")
    curve = pd.DataFrame({"train_perplexity": (20 - epochs / 10) * (1 + apart)}, epochs)
    return {
        ENVIRONMENT.replace("*", "scratch"): json.dumps({"device": device}).encode(),
        "data/models/scratch.safetensors": device.encode(),
        "metrics/train_scratch.json": b'{"seed": 0}',
        "plots/curve_scratch.tsv": curve.to_csv(sep="\t").encode(),
    }


def test_a_result_that_one_side_lacks_is_different() -> None:
    whole = trained("this")
    part = {name: content for name, content in whole.items() if name != "plots/curve_scratch.tsv"}
    assert not report(whole, part)
    assert not report(part, whole)


def test_on_another_kind_of_machine_rounding_passes_and_a_wrong_seed_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(trained("this"), trained("that", apart=KERNELS_APART))
    said = capsys.readouterr().out
    assert re.search(r"data/models/scratch\.safetensors +other kind", said)
    assert "device: this -> that" in said
    assert said.endswith("The results are reproduced.\n")
    assert not report(trained("this"), trained("that", apart=SEEDS_APART))
    assert re.search(r"plots/curve_scratch\.tsv +DIFFERENT +first 20 epochs", capsys.readouterr().out)
