"""Fixtures that several test modules share."""

import os

# Before torch is imported, here and in every process that a test starts: two processes with two threads each on two
# cores wait for each other most of the time, and one thread is enough for models this small.
os.environ["OMP_NUM_THREADS"] = "1"
# Hundreds of processes import the same modules: one compiles them for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from nursery import Nursery
from projects import ROOT, Project
from repository import SMALL, STAGES, Repository, ran

SLOWEST = [
    "test_commands",
    "test_pipeline",
    "test_same_bytes",
    "test_queue",
    "test_resume",
    "test_report",
    "test_sharing",
    "test_processes",
    "test_gpu",
    "test_corpus_in_dvc",
    "test_small",
    "test_compiled",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest modules first: of processes that share the tests, none is left alone with one at the end."""
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else len(SLOWEST))


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A process that runs stage scripts and DVC without importing anew."""
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture
def bare_project(tmp_path: Path, nursery: Nursery) -> Project:
    """A project with small parameters and no corpus yet."""
    return Project(tmp_path / "project", nursery)


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Project:
    """A project whose sample corpus is fetched and tokenised; for copies only."""
    project = Project(tmp_path_factory.mktemp("tokenized") / "project", nursery)
    for name in ("sample.txt", "sample.yaml"):
        shutil.copy(ROOT / "data/corpora" / name, project.root / "data/corpora")
    project.run_through("fetch", "tokenize_corpus")
    return project


@pytest.fixture
def small_project(tmp_path: Path, tokenized: Project) -> Project:
    """A project of its own with small parameters and the sample's tokens, ready to train."""
    return tokenized.copy_of(tmp_path / "project")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str, nursery: Nursery) -> Repository:
    """A git repository with a small run of the whole pipeline through DVC, its results committed; for copies only.

    Made once for all processes among which the tests are divided.
    """
    common = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    complete = common / "trained/project"
    with FileLock(common / "trained.lock"):
        if not complete.exists():
            repository = Repository.of_project(common / "training/project", nursery.commands)
            repository.set(*SMALL.items())
            assert ran(repository.dvc("repro")) == set(STAGES)
            repository.commit()
            (common / "training").rename(common / "trained")
    return Repository(complete, nursery.commands)
