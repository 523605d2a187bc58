"""A sweep through DVC's queue with two workers, and what one does with its experiments."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from repository import COMMAND_SECONDS, Repository

HIDDEN = (4, 6)
TRAININGS = ("train_scratch", "train_concise")
NAMES = ("sweep-1", "sweep-2")
MODELS = ["data/models/scratch.safetensors", "data/models/concise.safetensors"]


def start_workers(repository: Repository) -> None:
    """Start two workers; without a pipe, which they would inherit and hold open until they end."""
    command = [sys.executable, "-m", "dvc", "queue", "start", "--jobs", "2"]
    none = subprocess.DEVNULL
    subprocess.run(command, cwd=repository.folder, env=repository.environment, stdout=none, stderr=none, check=True)


def stop_workers(repository: Repository) -> None:
    """End the queue's workers, and wait until they are gone."""
    workers = []
    for file in (repository.folder / ".dvc/tmp/exps/celery").glob("dvc-exp-worker-*.json"):
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(json.loads(file.read_text())["pid"])
            workers += [worker] if "queue-worker" in worker.cmdline() else []
    repository.dvc("queue", "stop", "--kill")
    _, left = psutil.wait_procs(workers, timeout=60)
    for worker in left:
        worker.kill()
    assert not left, "queue workers did not stop by themselves"


def wait_until_done(repository: Repository) -> int:
    """Wait until the queue has run everything; the most experiments that were running at one time."""
    deadline, most = time.monotonic() + COMMAND_SECONDS, 0
    while (folders := running(repository)) or not all(name in repository.git("for-each-ref") for name in NAMES):
        most = max(most, len(folders))
        assert time.monotonic() < deadline, repository.dvc("queue", "status")
        time.sleep(0.2)
    return most


def running(repository: Repository) -> list[Path]:
    """The folders of the experiments that the workers run; DVC deletes each of them at its end."""
    return list((repository.folder / ".dvc/tmp/exps").glob("tmp*/.dvc"))


@pytest.fixture(scope="module")
def swept(trained: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose trainings with each model.hidden two workers have run, side by side, with busy checkpoints.

    The code in the workspace was broken meanwhile: an experiment runs the code that it was queued with.
    """
    repository = trained.copy_to(tmp_path_factory.mktemp("queue") / "project")
    repository.set(checkpoint__seconds=0.001)
    repository.commit()
    values = ",".join(map(str, HIDDEN))
    repository.dvc("exp", "run", "--queue", "--name", "sweep", "-S", f"model.hidden={values}", *TRAININGS)
    edited = repository.folder / "src/lstm_lm/model/score.py"
    edited.write_text('raise ImportError("edited after the experiments were queued")\n')
    start_workers(repository)
    try:
        running = wait_until_done(repository)
    finally:
        stop_workers(repository)
    assert running == 2
    assert (repository.folder / ".checkpoints").is_dir()  # in the project, not in the copies that DVC deletes
    repository.git("checkout", "--quiet", str(edited))
    return repository


def test_a_killed_experiment_goes_on_when_it_is_started_again(trained: Repository, tmp_path: Path) -> None:
    repository = trained.copy_to(tmp_path / "project")
    command = ("exp", "run", "--temp", "-S", "train.epochs=1000000", "train_scratch")
    assert "the state is saved" in repository.end_dvc(*command, until="epoch 1/")
    for folder in (repository.folder / ".dvc/tmp/exps/standalone").iterdir():
        shutil.rmtree(folder)  # what DVC itself does where it is not killed
    repository.end_dvc(*command, until="resumed at epoch ")


def test_all_results_are_shown_and_the_workspace_is_untouched(swept: Repository) -> None:
    shown = json.loads(swept.dvc("exp", "show", "--json"))
    baseline = next(row for row in shown if row["rev"] != "workspace")
    results = {}
    for experiment in baseline["experiments"]:
        (state,) = experiment["revs"]
        assert state["error"] is None
        results[experiment["name"]] = state["data"]["params"]["params.yaml"]["data"]["model"]["hidden"], state["rev"]
    assert {name: hidden for name, (hidden, _) in results.items()} == dict(zip(NAMES, HIDDEN, strict=True))
    for kind in ("scratch", "concise"):
        trained = [swept.git("show", f"{revision}:metrics/train_{kind}.json") for _, revision in results.values()]
        assert len({json.loads(text)[0]["valid_perplexity"] for text in trained}) == len(HIDDEN)
    assert swept.git("status", "--porcelain") == ""


def test_an_applied_experiment_has_the_bytes_of_a_run_by_itself(swept: Repository) -> None:
    swept.dvc("exp", "apply", NAMES[0])
    applied = swept.contents(MODELS)
    swept.dvc("repro", "--force", "--single-item", *TRAININGS)
    assert swept.contents(MODELS) == applied
    swept.restore()


def test_an_experiment_becomes_a_branch(swept: Repository) -> None:
    swept.dvc("exp", "branch", NAMES[1], "narrow")
    assert "hidden: 6" in swept.git("show", "narrow:params.yaml")


def test_queued_and_finished_experiments_are_cleaned_up(swept: Repository) -> None:
    swept.dvc("exp", "run", "--queue", "--name", "never", "-S", "seed=7")
    assert "never" in swept.dvc("queue", "status")
    swept.dvc("exp", "remove", "--queue")
    assert "never" not in swept.dvc("queue", "status")
    swept.dvc("exp", "remove", "--all-commits")
    assert swept.dvc("exp", "list", "--all-commits", "--name-only").split() == []
    assert "hidden: 6" in swept.git("show", "narrow:params.yaml")
    assert not swept.requests.exists(), swept.requests.read_text()
