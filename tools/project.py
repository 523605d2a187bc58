"""The project as a whole: its committed results, a copy of it, DVC run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lstm_lm.core.yaml_file import read_yaml

MADE = (".venv", ".checkpoints", ".dvc/cache", ".dvc/tmp", "data/raw", "data/tokens", "data/models", "report")
"""What a copy does not need."""


def results(root: Path) -> dict[str, bytes]:
    """Path -> what to compare, for every output in dvc.lock: of metrics and plots the content, else DVC's digest.

    Raises:
        ValueError: dvc.lock is damaged.
        OSError: there is no dvc.lock, so no results to compare with, or a result is missing.
    """
    lock = read_yaml(root / "dvc.lock")
    outputs = {out["path"]: out["md5"] for step in lock["stages"].values() for out in step.get("outs", [])}
    return {
        path: (root / path).read_bytes() if path.startswith(("metrics/", "plots/")) else md5.encode()
        for path, md5 in outputs.items()
    }


def copy_project(source: Path, target: Path) -> Path:
    """Clone the current commit into the new folder `target`, or copy the files where git does not know the project.

    Returns:
        The project's folder: `target`, or a subfolder of it where the project is one of a larger repository.

    Raises:
        OSError: git could not clone, or a file could not be copied.
    """
    if _git(source, "cat-file", "-e", "HEAD:./dvc.yaml") is not None:
        toplevel, prefix = (_git(source, "rev-parse", option) or "" for option in ("--show-toplevel", "--show-prefix"))
        if _git(source, "clone", "--quiet", toplevel, str(target.resolve())) is None:
            raise OSError(f"git could not clone {toplevel}")
        return target / prefix
    made = {source / name for name in MADE}
    shutil.copytree(source, target, ignore=lambda folder, names: [n for n in names if Path(folder, n) in made])
    do_without_git(target)
    return target


def dvc(project: Path, *arguments: str, **variables: str) -> int:
    """Run DVC in a copy, with this Python also in the stages and these environment variables; its exit status.

    Raises:
        KeyboardInterrupt: after a stage has saved what it had, which Ctrl-C reaches too.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, **variables}
    mirror = environment.get("CORPUS_MIRROR", "")
    if mirror and "://" not in mirror:
        environment["CORPUS_MIRROR"] = str(Path(mirror).resolve())
    command = [sys.executable, "-m", "dvc", *arguments]
    with subprocess.Popen(command, cwd=project, env=environment) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.wait()
            raise


def dvc_quietly(root: Path, *arguments: str) -> int:
    """Run DVC silently; its exit status."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode


def do_without_git(root: Path) -> None:
    """Tell DVC not to look for git where there is none, as in an unpacked archive."""
    if not any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents)):
        dvc_quietly(root, "config", "--local", "core.no_scm", "true")


def _git(folder: Path, *arguments: str) -> str | None:
    """What `git <arguments>` prints; None where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
