"""What stands around the code: the environment, its packages and their hashes, targets of make, workflows."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from projects import ROOT
from tools import torch_build
from tools.checks import audit, lint_workflows

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def pins(file: str) -> set[tuple[str, str]]:
    """(name, version) of each entry; extras, markers and hashes left out."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    wanted = [line.removesuffix(" \\") for line in lines if line and not line.startswith(("#", "-r", " "))]
    found = [re.fullmatch(r"([a-z0-9._-]+)(?:\[[a-z0-9]+\])?==([^\s;]+)(?: ; .+)?", line) for line in wanted]
    assert None not in found, f"{file}: not an exact pin: {wanted[found.index(None)]}"
    return {(match[1], match[2]) for match in found if match}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_as_in_the_whole_closure(file):
    assert pins(file) <= pins("constraints.txt"), "run `make lock`"


def test_the_lock_has_hashes_of_every_package_and_of_pytorch_s_builds_for_the_cpu() -> None:
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    hashed = re.findall(r"^\S+==\S+.* \\\n +--hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(hashed) == len(pins("constraints.txt"))
    version, hashes = torch_build.locked(lock)
    assert version == "2.13.0", "put the hashes of this version's builds for the CPU into constraints.txt and this test"
    assert "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b" in hashes


def test_what_the_package_needs_is_installed_at_a_pinned_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[a-z0-9-]+", requirement)[0] for requirement in project["dependencies"]}  # pyright: ignore
    assert needed <= {name for name, _ in pins("requirements.txt")}


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_check_that_cannot_ask_fails_in_ci_alone(ci: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for name, value in {
        "CI": ci,
        "PATH": str(tmp_path),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "npm_config_offline": "true",
        "npm_config_cache": str(tmp_path / "cache"),
        # pip-audit keeps PyPI's answers under one or the other.
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    assert [audit.main(), lint_workflows.main()] == [bool(ci)] * 2


@pytest.mark.parametrize("failing", ["lint", "audit", "test", "test-slow"])
def test_ci_fails_with_each_of_its_checks(failing, tmp_path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    for name, script in {"make": f'[ "$1" != {failing} ]', "id": "echo 1", "uname": "echo other"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    assert subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=os.environ | path, check=False).returncode == 1


def test_make_has_no_target_twice():
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make -j2 test`
    listed = subprocess.run(["make", "help"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
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


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/ci.yml"])
def test_ci_runs_the_slow_tests_too(file: str) -> None:
    commands = re.findall(r"^(?: *- run: )?make (test.*)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == ["test", "test-slow"]


def test_a_check_that_fails_in_ci_stops_no_later_one() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    _, *later = [step for step in workflow["jobs"]["tests"]["steps"] if "run" in step]
    assert {step.get("if") for step in later} == {"${{ !cancelled() }}"}


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


def evaluated(text: str, **github: object) -> str:
    """A text of the workflow with its expressions replaced by their values; Python's `and` and `or` do as theirs do."""
    names = {"github": SimpleNamespace(**github, event=SimpleNamespace(before="before")), "format": str.format}

    def value(found: re.Match[str]) -> str:
        return str(eval(found[1].replace("&&", "and").replace("||", "or"), names))

    return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


def test_a_push_to_main_is_checked_to_its_end_and_compared_with_what_was_there_before() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    group = workflow["concurrency"]["group"]
    [base] = [step["env"]["BASE"] for step in workflow["jobs"]["pipeline"]["steps"] if "BASE" in step.get("env", {})]
    push = {"workflow": "CI", "event_name": "push", "ref": "refs/heads/main", "base_ref": ""}
    assert evaluated(group, **push, run_id=1) != evaluated(group, **push, run_id=2)
    assert evaluated(base, **push) == "before"
    pull = {"workflow": "CI", "event_name": "pull_request", "ref": "refs/pull/7/merge", "base_ref": "main"}
    assert evaluated(group, **pull, run_id=1) == evaluated(group, **pull, run_id=2)
    assert evaluated(base, **pull) == "origin/main"
