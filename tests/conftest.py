"""Fixtures that several test modules share."""

import os

# Before torch is imported, here and in every process that a test starts: two processes with two threads each on two
# cores wait for each other most of the time, and one thread is enough for models this small.
os.environ["OMP_NUM_THREADS"] = "1"
# Hundreds of processes import the same modules: one compiles them for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# The job's summary on GitHub shows no results that a test made up.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
# Tests have servers on loopback, and a proxy of the user's cannot reach them.
os.environ["no_proxy"] = f"{os.environ.get('no_proxy', os.environ.get('NO_PROXY', ''))},127.0.0.1,localhost"
os.environ["NO_PROXY"] = os.environ["no_proxy"]

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from projects import ROOT, Project
from repository import STAGES, Repository, ran

SLOWEST = ["commands", "queue", "compiled", "same_bytes", "pipeline", "processes", "sharing", "resume", "report"]
SLOWEST += ["corpus_in_dvc", "gpu", "recipe", "launcher"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest modules first: of processes that share the tests, none is left alone with one at the end."""
    places = {f"test_{name}": place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def bare_project(tmp_path: Path) -> Project:
    """A project with small parameters and no corpus yet."""
    return Project.new(tmp_path / "project")


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose sample corpus is fetched and tokenised; for copies only."""
    project = Project.new(tmp_path_factory.mktemp("tokenized") / "project")
    for name in ("sample.txt", "sample.yaml"):
        shutil.copy(ROOT / "data/corpora" / name, project.root / "data/corpora")
    project.run_through("fetch", "tokenize_corpus")
    return project


@pytest.fixture
def small_project(tmp_path: Path, tokenized: Project) -> Project:
    """A project of its own with small parameters and the sample's tokens, ready to train."""
    return tokenized.copy_of(tmp_path / "project")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a shell's foreground: in the background it starts out ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Repository:
    """A git repository with a small run of the whole pipeline through DVC, its results committed; for copies only.

    Made once for all processes among which the tests are divided.
    """
    common = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    complete = common / "trained/project"
    with FileLock(common / "trained.lock"):
        if not complete.exists():
            repository = Repository.of_project(common / "training/project")
            assert ran(repository.dvc("repro")) == set(STAGES)
            # No clone and no experiment need compile the C++ code again, which takes seconds.
            repository.git("add", "--force", *map(str, repository.folder.glob("src/lstm_lm/model/__pycache__/*.so")))
            repository.commit()
            (common / "training").rename(common / "trained")
    return Repository(complete)
