"""The project as a whole: its outputs, git, DVC, and a copy in which DVC may run."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.lock import LockError, make_lock
from dvc.repo import Repo
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

from lstm_lm.core import stage
from lstm_lm.core.printable import say
from lstm_lm.core.yaml_file import read_yaml

MADE = (".venv", ".checkpoints", ".dvc/cache", ".dvc/tmp", "data/raw", "data/tokens", "data/models", "report")
"""What a copy does not need."""

CODE = ("data/corpora", "dvc.yaml", "params.yaml", "src", "stages", "tests/params.yaml", "tests/small_run.json")
"""What decides the results of a copy."""

_GITS_OWN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
"""Variables by which git names a repository to its hooks. They must not reach another repository."""


class Busy(ValueError):
    """Another DVC works on the project."""


def outputs(root: Path) -> dict[str, bytes]:
    """Path -> what to compare, for every output in dvc.lock: of metrics and plots the content, else DVC's digest.

    Raises:
        ValueError: dvc.lock is damaged.
    """
    return {
        path: (root / path).read_bytes() if path.startswith(("metrics/", "plots/")) else md5.encode()
        for path, md5 in digests(root).items()
    }


def digests(root: Path) -> dict[str, str]:
    """Path -> DVC's digest, for every output in dvc.lock. Raises ValueError if dvc.lock is damaged."""
    lock = read_yaml(root / "dvc.lock")
    return {
        out["path"]: out.get("md5") or json.dumps(out["files"], sort_keys=True)  # of a folder in a versioned remote
        for step in lock["stages"].values()
        for out in step.get("outs", [])
    }


def git(folder: Path, *arguments: str) -> str | None:
    """What `git <arguments>` prints; None where it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=_environment(), capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def resolve(root: Path, revision: str) -> str:
    """The hash of a revision, or the revision where git does not know it, such as an experiment's name.

    DVC's HEAD is an earlier commit once an experiment was killed.
    """
    return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}") or revision


def has_git(root: Path) -> bool:
    """Whether the project is in a git repository."""
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))


@contextmanager
def copied(root: Path, purpose: str) -> Iterator[Path]:
    """A copy of the project (see `copy_project`) in a temporary folder. SIGTERM and SIGHUP remove it, too."""

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    with TemporaryDirectory(prefix=f"lstm-lm-{purpose}-") as folder:
        before = {
            number: signal.signal(number, leave)
            for number in (signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is signal.SIG_DFL
        }
        try:
            yield copy_project(root, Path(folder) / "project")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def copy_project(source: Path, target: Path) -> Path:
    """Clone the current commit into the new folder `target`, or copy the files where git does not know the project.

    Returns:
        The project's folder: `target`, or a subfolder of it where the project is one of a larger repository.

    Raises:
        OSError: git could not clone, or cannot read the repository.
    """
    if has_git(source) and git(source, "rev-parse", "--git-dir") is None:
        raise OSError("git cannot tell what is committed: `git status` says why")
    if git(source, "cat-file", "-e", "HEAD:./dvc.yaml") is not None:
        toplevel, prefix = (git(source, "rev-parse", option) or "" for option in ("--show-toplevel", "--show-prefix"))
        if git(source, "clone", "--quiet", toplevel, str(target.resolve())) is None:
            raise OSError(f"git could not clone {toplevel}")
        if git(source, "status", "--porcelain", "--untracked-files=no", "--", *CODE):
            say("What is not committed is left out: this runs the last commit.", sys.stderr)
        return target / prefix
    made = {source / name for name in MADE}
    shutil.copytree(source, target, ignore=lambda folder, names: [n for n in names if Path(folder, n) in made])
    follow_git(target)
    return target


def dvc(project: Path, *arguments: str, **variables: str) -> int:
    """Run DVC in a copy, with this Python also in the stages, and with these environment variables; its exit status.

    It sends nothing to a remote or to Studio, and what it keeps for each folder goes with the copy. A text that is not
    in git comes from CORPUS_MIRROR or, without one, from data/corpora/ of the working directory.

    Raises:
        KeyboardInterrupt, SystemExit: Ctrl-C was pressed, or `copied` got a signal; what ran has saved its state.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"DVC_EXP_AUTO_PUSH": "false", "DVC_STUDIO_OFFLINE": "true"}
    own["DVC_SITE_CACHE_DIR"] = str((project / ".dvc/tmp/site-cache").resolve())
    environment = _environment() | own | {"PATH": path} | variables
    mirror = environment.get("CORPUS_MIRROR") or "data/corpora"
    if "://" not in mirror:
        environment["CORPUS_MIRROR"] = str(Path(mirror).resolve())
    command = [sys.executable, "-m", "dvc", *arguments]
    with subprocess.Popen(command, cwd=project, env=environment) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:  # the terminal sends it to all of them
            running.wait()
            raise
        except SystemExit:
            _terminate(running.pid)
            raise


@contextmanager
def repository(root: Path) -> Iterator[Repo]:
    """The project in DVC's API, without progress bars.

    Raises:
        ValueError: DVC cannot do what is asked; one line in DVC's words.
        Busy: another DVC works on the project.
    """
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    follow_git(root)
    with _dvc_errors(), Repo(str(root)) as repo:
        _heal(repo)
        yield repo


@contextmanager
def _dvc_errors() -> Iterator[None]:
    """Turn an error of DVC into a ValueError with DVC's words in one line."""
    try:
        yield
    except DvcException as error:
        kind = Busy if isinstance(error, LockError) else ValueError
        raise kind(f"dvc: {' '.join(str(error).split())}") from error


def configure(root: Path, section: str, option: str, value: str | None) -> None:
    """Set an option in .dvc/config.local, or remove it (None). Raises ValueError."""
    settings: Any
    with _dvc_errors(), Config(str(root / ".dvc"), validate=False).edit("local") as settings:
        settings[section].pop(option, None)
        settings[section] |= {} if value is None else {option: value}


def follow_git(root: Path) -> None:
    """Tell DVC to work without git where there is none, as in an unpacked archive; undo that once there is one."""
    with _dvc_errors():
        settings: Any = Config(str(root / ".dvc"), validate=False).read("local")
    without = "no_scm" in settings["core"]
    if without == has_git(root):
        configure(root, "core", "no_scm", None if without else "true")


def _environment() -> dict[str, str]:
    """This process's variables without those that name a repository or, in a stage of DVC, its project."""
    return {name: value for name, value in os.environ.items() if name not in (*_GITS_OWN, "DVC_ROOT")}


def _terminate(pid: int) -> None:
    """End DVC and its stage, to which DVC passes on no signal. A training saves its state first."""
    dvc_process = psutil.Process(pid)
    processes = [dvc_process, *dvc_process.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(processes)


def _heal(repo: Repo) -> None:
    """Remove a half-written table of locks, which stops every later DVC, unless a DVC runs."""
    root, hardlink = Path(repo.root_dir), repo.config["core"].get("hardlink_lock", False)
    for folder in (root / ".dvc/tmp", root / ".dvc/tmp/exps"):
        table = folder / RWLOCK_FILE
        if _damaged(table) and not any(stage.is_running(script.stem, root) for script in root.glob("stages/*.py")):
            with repo.lock, make_lock(str(folder / RWLOCK_LOCK), tmp_dir=str(folder), hardlink_lock=hardlink):
                if _damaged(table):
                    table.unlink()


def _damaged(table: Path) -> bool:
    try:
        json.loads(table.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
