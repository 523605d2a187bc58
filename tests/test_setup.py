"""What stands around the code: pinned packages and pinned workflow actions."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from projects import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def pins(file: str) -> set[tuple[str, str]]:
    """(name, version) of each line; extras and markers left out."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-r"))]
    found = [re.fullmatch(r"([a-z0-9._-]+)(?:\[[a-z0-9]+\])?==([^\s;]+)(?: ; .+)?", line) for line in wanted]
    assert None not in found, f"{file}: not an exact pin: {wanted[found.index(None)]}"
    return {(match[1], match[2]) for match in found if match}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_as_in_the_whole_closure(file):
    assert pins(file) <= pins("constraints.txt"), "run `make lock`"


def test_what_the_package_needs_is_installed_at_a_pinned_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[a-z0-9-]+", requirement)[0] for requirement in project["dependencies"]}  # pyright: ignore
    assert needed <= {name for name, _ in pins("requirements.txt")}


@pytest.mark.parametrize("moved", [False, True])
def test_make_renews_an_environment_that_was_copied_or_moved(moved: bool, tmp_path: Path) -> None:
    project = tmp_path / "a project"
    (project / ".venv/bin").mkdir(parents=True)
    for name in ("requirements.txt", "constraints.txt", "pyproject.toml", "Makefile"):
        shutil.copy2(ROOT / name, project)
    for name in ("bin/pip", ".packages"):
        (project / ".venv" / name).touch()
    place = tmp_path / "original" if moved else project
    (project / ".venv/pyvenv.cfg").write_text(f"command = python -m venv --clear {place}/.venv\n")
    planned = subprocess.run(["make", "--dry-run", "setup"], cwd=project, capture_output=True, text=True, check=True)
    assert ("venv --clear .venv" in planned.stdout) == moved
    assert ("install --quiet -r requirements.txt" in planned.stdout) == moved


def test_make_has_no_target_twice():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    assert {"run", "test", "report", "sweep-report"} <= set(re.findall(r"^make (\S+)", listed.stdout, re.MULTILINE))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_actions_are_pinned_by_commit_and_may_only_read(workflow):
    text = workflow.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", use)] == []
    content = yaml.safe_load(text)
    assert content["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in content["jobs"].values())
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_workflow_steps_run_only_commands_that_run_here():
    for workflow in WORKFLOWS:
        commands = re.findall(r"run: (.+)", workflow.read_text(encoding="utf-8"))
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert [command for command in commands if command.removeprefix("make ") not in targets] == []


def test_job_summary_shows_committed_pictures_and_links_the_report(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/learning_curves.png").touch()
    (tmp_path / "report/report.md").write_text("# R\n![Speed](speed.png)\n![Curves](learning_curves.png)\n")
    (tmp_path / "summary.md").write_text("before\n")
    environment = {
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "some/project",
        "GITHUB_SHA": "abc",
        "ARTIFACT_URL": "https://github.example/artifact",
    }
    command = [sys.executable, "-m", "tools.report.job_summary"]
    subprocess.run(command, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, check=True)
    lines = (tmp_path / "summary.md").read_text().splitlines()
    assert lines[:4] == [
        "before",
        "# R",
        "[Speed against the base: in the report](https://github.example/artifact)",
        "![Curves](https://github.example/some/project/raw/abc/plots/learning_curves.png)",
    ]
    assert lines[-1].endswith("(https://github.example/artifact)")
