"""Only the named corpus counts for DVC, and what it has fetched once is not lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora import write_record
from repository import Repository, ran

STAGES = ("fetch", "tokenize")
NOWHERE = "http://127.0.0.1:9"
TEXT = b"It was a dark, stormy night!\n" * 1000


@pytest.fixture(scope="module")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The project with the sample fetched and tokenised, committed; for copies only."""
    repository = Repository.of_project(tmp_path_factory.mktemp("corpora") / "project")
    assert repro(repository) == set(STAGES)
    repository.commit()
    return repository


@pytest.fixture
def project(tokenized: Repository, tmp_path: Path) -> Repository:
    """A copy of its own, without a way to the web or a mirror."""
    project = tokenized.copy_to(tmp_path / "project")
    project.environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    project.environment.pop("CORPUS_MIRROR", None)
    return project


def repro(repository: Repository) -> set[str]:
    return ran(repository.dvc("repro", "--single-item", *STAGES))


def fails(repository: Repository, *command: str) -> str:
    """What a command that must fail writes to stderr."""
    done = subprocess.run(
        command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def add_own(repository: Repository) -> Path:
    """Register a text of the user's own and name it in params.yaml."""
    text = repository.folder / "data/corpora/own.txt"
    text.write_bytes(TEXT)
    write_record(text.parent, "own", {"corpus": TEXT})
    repository.set(corpus__name="own")
    return text


def test_other_files_and_records_change_nothing(project: Repository) -> None:
    (project.folder / "data/corpora/notes.txt").touch()
    write_record(project.folder / "data/corpora", "another", {"corpus": b"text"})
    assert repro(project) == set()
    project.commit()
    clone = Repository(project.folder.parent / "clone/project")
    project.git("clone", "--quiet", str(project.folder), str(clone.folder))
    assert ran(clone.dvc("repro", "--allow-missing", "--dry", "--single-item", *STAGES)) == set()


def test_the_record_of_the_named_corpus_counts(project: Repository) -> None:
    path = project.folder / "data/corpora/sample.yaml"
    path.write_text(path.read_text().replace("CC0 1.0", "CC0"))
    assert repro(project) == {"fetch"}


def test_a_text_that_dvc_tracks_may_be_missing(project: Repository) -> None:
    text = add_own(project)
    project.dvc("add", str(text))
    assert repro(project) == set(STAGES)
    text.unlink()
    assert repro(project) == set()


def test_a_change_of_code_without_a_network_keeps_the_corpus(project: Repository) -> None:
    text = add_own(project)
    assert repro(project) == set(STAGES)
    text.unlink()
    with (project.folder / "src/lstm_lm/corpus/download.py").open("a") as file:
        file.write("# changed\n")
    assert project.run(sys.executable, "-m", "tools.quickstart") == ""  # corpus.name stays
    output = project.dvc("repro", "--single-item", *STAGES)
    assert ran(output) == {"fetch"}
    assert "own: DVC's cache" in output
    assert (project.folder / "data/raw/corpus.txt").read_bytes() == TEXT


def test_an_edited_text_is_noticed_until_it_has_a_new_record(project: Repository) -> None:
    text = add_own(project)
    assert repro(project) == set(STAGES)
    text.write_bytes(TEXT * 2)
    for module in ("tools.quickstart", "tools.checks.current"):
        [line] = fails(project, sys.executable, "-m", module).splitlines()
        assert "data/corpora/own.txt is not the text that its record describes" in line
        assert line.endswith("write its new record with make corpus FILE=data/corpora/own.txt")
    project.run(sys.executable, "-m", "tools.corpus", "data/corpora/own.txt")
    assert project.run(sys.executable, "-m", "tools.quickstart") == ""
    assert repro(project) == set(STAGES)


def test_another_corpus_in_dvcs_cache_is_no_news(project: Repository) -> None:
    add_own(project).unlink()
    said = fails(project, "dvc", "repro", "--single-item", "fetch")
    assert f"no source has own.txt:\n  {project.folder}/data/corpora/own.txt: no such file;\nways out: " in said


def test_back_to_an_earlier_corpus_without_its_source(project: Repository) -> None:
    text = add_own(project)
    assert repro(project) == set(STAGES)
    project.set(corpus__name="sample")
    text.unlink()
    repro(project)
    project.set(corpus__name="own")
    assert "fetch" not in repro(project)
    assert (project.folder / "data/raw/corpus.txt").read_bytes() == TEXT


def test_make_run_says_that_an_unknown_corpus_is_a_mistake(project: Repository) -> None:
    params = project.folder / "params.yaml"
    wrong = params.read_text().replace("name: sample", "name: nowhere")
    params.write_text(wrong)
    [line] = fails(project, sys.executable, "-m", "tools.quickstart").splitlines()
    assert "'nowhere' is none of the corpora (ptb, sample, " in line
    assert params.read_text() == wrong, "it is not replaced by the sample, as one out of reach is"
    assert (project.folder / "data/raw/corpus.txt").exists()


def test_dvc_names_the_record_that_is_missing(project: Repository) -> None:
    params = project.folder / "params.yaml"
    right = params.read_text()
    said = fails(project, "dvc", "exp", "run", "-S", "corpus.name=nowhere")
    assert "'data/corpora/nowhere.yaml' does not exist" in said
    params.write_text(right)
    project.dvc("checkout", "--quiet", "data/raw")
    assert repro(project) == set()


def test_an_experiment_elsewhere_needs_the_record_in_git_alone(project: Repository) -> None:
    text = add_own(project)
    command = ("dvc", "exp", "run", "--temp", "fetch")
    assert "'data/corpora/own.yaml' does not exist" in fails(project, *command)
    project.git("add", str(text.with_suffix(".yaml")))
    assert f"own: {text}" in project.run(*command)


def test_an_experiment_elsewhere_finds_a_relative_mirror(project: Repository) -> None:
    mirror = project.folder.parent / "mirror"
    mirror.mkdir()
    add_own(project).rename(mirror / "own.txt")
    project.commit()
    project.environment["CORPUS_MIRROR"] = "../mirror"
    output = project.dvc("exp", "run", "--temp", "fetch")
    assert os.path.normpath(output.split("own: ")[1].splitlines()[0]) == str(mirror / "own.txt")
