"""Data and models pass from one clone to another through a remote; nothing leaves the machine on the way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repository import Repository, ran
from storage import CREDENTIALS, s3

TRAININGS = ("train_scratch", "train_concise")
MODELS = ["data/models/scratch.safetensors", "data/models/concise.safetensors"]


class Team(NamedTuple):
    """Two clones of one git repository and of one remote; the author has pushed, the colleague not yet pulled."""

    author: Repository
    colleague: Repository


@pytest.fixture(scope="module")
def team(trained: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A remote with S3's interface; the test of docs/sharing.md runs the same with a folder."""
    folder = tmp_path_factory.mktemp("sharing")
    author = trained.copy_to(folder / "author/project")
    with s3() as endpoint:
        author.dvc("remote", "add", "--local", "--default", "storage", "s3://team/lstm")
        for name, value in {"endpointurl": endpoint, **CREDENTIALS}.items():
            author.dvc("remote", "modify", "--local", "storage", name, value)
        author.dvc("push", "--run-cache")
        author.git("clone", "--quiet", "--bare", ".", str(folder / "hub.git"))
        author.git("remote", "add", "origin", str(folder / "hub.git"))
        colleague = Repository(folder / "colleague/project")
        author.git("clone", "--quiet", str(folder / "hub.git"), str(colleague.folder))
        (colleague.folder / ".dvc/config.local").write_text((author.folder / ".dvc/config.local").read_text())
        yield Team(author, colleague)
        for repository in (author, colleague):
            assert not repository.requests.exists(), repository.requests.read_text()


def test_a_second_clone_pulls_and_has_nothing_to_run(team: Team) -> None:
    assert not (team.colleague.folder / MODELS[0]).exists()
    team.colleague.dvc("pull", "--run-cache")
    assert team.colleague.contents(MODELS) == team.author.contents(MODELS)
    assert ran(team.colleague.dvc("repro")) == set()
    assert team.colleague.git("status", "--porcelain") == ""


def test_the_remote_and_its_credentials_stay_out_of_git(team: Team) -> None:
    assert team.author.git("status", "--porcelain") == ""
    found = subprocess.run(
        ["git", "grep", "-l", "-e", "storage", "-e", CREDENTIALS["secret_access_key"], "HEAD", "--", ".dvc"],
        cwd=team.author.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")


def test_released_models_are_fetched_without_the_project(team: Team, tmp_path: Path) -> None:
    elsewhere = Repository(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    (elsewhere.folder / "remote.config").write_text((team.author.folder / ".dvc/config.local").read_text())
    source = f"file://{team.author.folder}"  # a path would take the author's own cache
    for name, path in zip(("scratch", "concise"), MODELS, strict=True):
        team.author.git("tag", "--annotate", "--message", "release", f"{name}@v1.0.0")
        elsewhere.dvc("artifacts", "get", source, name, "--config", "remote.config", "--out", f"{name}.safetensors")
        assert (elsewhere.folder / f"{name}.safetensors").read_bytes() == team.author.contents(MODELS)[path]
    assert not elsewhere.requests.exists(), elsewhere.requests.read_text()


def test_a_colleague_trains_only_what_changed_and_shares_it_as_an_experiment(team: Team) -> None:
    author, colleague = team
    colleague.dvc("pull")
    output = colleague.dvc("exp", "run", "--name", "same-start", "-S", "concise.init=shared", *TRAININGS)
    assert ran(output) == {"train_concise"}
    colleague.dvc("exp", "push", "origin", "same-start")

    before = author.contents(MODELS)
    author.dvc("exp", "pull", "origin", "same-start")
    author.dvc("exp", "apply", "same-start")
    after = author.contents(MODELS)
    assert after == colleague.contents(MODELS)
    assert [path for path in MODELS if before[path] != after[path]] == ["data/models/concise.safetensors"]
    assert ran(author.dvc("repro", *TRAININGS)) == set()


def test_a_request_that_would_leave_the_machine_is_noticed(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.folder.mkdir()
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    with pytest.raises(AssertionError, match="no request may leave this machine"):
        repository.run(sys.executable, "-c", code)
    assert "192.0.2.1" in repository.requests.read_text()
