"""Whichever Python is on PATH, the stages run with the project's own packages, or one line says what is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """The project without results on the sample corpus; the `python` on PATH has none of its packages."""
    repository = Repository.of_project(tmp_path / "project")
    without_packages = tmp_path / "bin/python"
    without_packages.parent.mkdir()
    without_packages.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    without_packages.chmod(0o755)
    repository.environment["PATH"] = f"{without_packages.parent}:/usr/bin:/bin"
    return repository


def make_environment(folder: Path) -> None:
    """`.venv` with the packages of this Python."""
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)


@pytest.mark.parametrize("command", [["repro"], ["exp", "run", "--temp"]], ids=" ".join)
def test_dvc_works_in_an_environment_that_is_not_activated(repository: Repository, command: list[str]) -> None:
    make_environment(repository.folder)
    repository.run(sys.executable, "-m", "dvc", *command, "fetch", "tokenize")


def test_without_the_packages_a_stage_says_so_in_one_line(repository: Repository) -> None:
    command = [sys.executable, "-m", "dvc", "repro", "fetch"]
    done = subprocess.run(
        command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("ERROR: ")]
    assert said == [
        "no Python with this project's packages: run 'make setup', or activate the environment that has them"
    ]


def test_a_copied_project_does_not_run_the_original_s_package(repository: Repository, tmp_path: Path) -> None:
    shutil.copytree(repository.folder, tmp_path / "copy")
    command = [sys.executable, "-m", "lstm_lm.generate", "--prefix", "the sea"]
    done = subprocess.run(
        command, cwd=tmp_path / "copy", env=repository.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"generate: this folder has its own src/lstm_lm, but Python runs {repository.folder}/src/lstm_lm: "
        "run `make setup`, then activate .venv\n"
    )
