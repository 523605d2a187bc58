"""A copy of the project, made to run the pipeline elsewhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lstm_lm.workbench import quickstart

MADE = (".venv", ".checkpoints", ".dvc/cache", ".dvc/tmp", "data/raw", "data/tokens", "data/models", "report")
"""What a copy does not need."""


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
    quickstart.do_without_git(target)
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


def _git(folder: Path, *arguments: str) -> str | None:
    """What `git <arguments>` prints; None where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
