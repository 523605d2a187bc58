"""A command that the nursery runs does what a fresh process would do."""

import signal
import subprocess
from pathlib import Path

import pytest

from nursery import Nursery
from repository import Repository


@pytest.fixture
def repository(tmp_path: Path, nursery: Nursery) -> Repository:
    """A folder with a package and a stage of its own, not under git."""
    repository = Repository(tmp_path / "project", nursery.commands)
    for name in ("src/lstm_lm", "stages"):
        (repository.folder / name).mkdir(parents=True)
    (repository.folder / "src/lstm_lm/__init__.py").write_text("OWN = True\n")
    return repository


def run(repository: Repository, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (repository.folder / "stages/stage.py").write_text(script)
    command = ["python", "stages/stage.py", *arguments]
    return subprocess.run(
        command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
    )


def test_it_is_the_nursery_that_runs_it(repository: Repository) -> None:
    done = run(repository, "import sys\nprint('torch' in sys.modules, sys.argv[1:])", "a b")
    assert done.stdout == "True ['a b']\n"


def test_a_stage_imports_the_package_of_its_project(repository: Repository) -> None:
    assert run(repository, "import lstm_lm\nprint(lstm_lm.OWN)").stdout == "True\n"


def test_the_environment_is_that_of_who_asks(repository: Repository) -> None:
    repository.environment["ASKED"] = "yes"
    assert run(repository, "import os\nprint(os.environ['ASKED'], os.getcwd())").stdout == f"yes {repository.folder}\n"


def test_a_request_that_would_leave_the_machine_is_noticed(repository: Repository) -> None:
    done = run(repository, "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)")
    assert "no request may leave this machine" in done.stderr
    assert "192.0.2.1" in repository.requests.read_text()


def test_the_guard_is_there_in_dvc_too(repository: Repository) -> None:
    with pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        repository.dvc("get-url", "http://192.0.2.1/text", "text")
    assert "192.0.2.1" in repository.requests.read_text()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('in words')", 1),
        ("import os\nos.kill(os.getpid(), 9)", -signal.SIGKILL),
    ],
)
def test_it_ends_as_the_script_ends(script: str, status: int, repository: Repository) -> None:
    assert run(repository, script).returncode == status


def test_a_signal_reaches_it(repository: Repository) -> None:
    (repository.folder / "stages/stage.py").write_text("import time\nprint('there', flush=True)\ntime.sleep(60)")
    command = ["python", "stages/stage.py"]
    with subprocess.Popen(
        command, cwd=repository.folder, env=repository.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        process.terminate()
    assert process.returncode == -signal.SIGTERM
