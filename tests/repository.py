"""The project in a git repository of its own, where a test uses it through DVC's command line."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 300
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SMALL = {
    "time_machine ": "sample ",
    "hidden: 256": "hidden: 8",
    "epochs: 500": "epochs: 3",
    "passage: 300": "passage: 40",
}
"""What makes a run small: texts of params.yaml and what takes their place."""

_GUARD = '''\
"""Writes down whom a Python process turns to beyond this machine, and does not let it."""
import sys

def guard(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"):
        with open({log!r}, "a") as log:
            print(sys.argv, event, host, file=log)
        raise OSError("no request may leave this machine")

sys.addaudithook(guard)
'''


class Repository:
    """A git repository with the project in `folder`; everything else that its commands write is in `folder.parent`.

    `commands` is a folder whose `dvc` and `python` its commands find first, such as those of the nursery.
    """

    _PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def __init__(self, folder: Path, commands: Path | None = None) -> None:
        self.folder, self.commands = folder, commands
        self.requests = folder.parent / "requests.log"
        guard = folder.parent / "guard"
        guard.mkdir(parents=True, exist_ok=True)
        (guard / "sitecustomize.py").write_text(_GUARD.format(log=str(self.requests)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))}
        self.environment = {
            **kept,
            "PATH": os.pathsep.join([*([str(commands)] if commands else []), self._PATH]),
            # As if the package were installed from this very folder: editable.
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{guard}",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "500",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder.parent / "no-config"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder.parent / "no-config"),
        }

    @property
    def cold_environment(self) -> dict[str, str]:
        """`environment` without `commands`, for what must end together with the process that started it."""
        return self.environment | {"PATH": self._PATH}

    @classmethod
    def of_project(cls, folder: Path, commands: Path | None = None) -> "Repository":
        """The project as it stands in the working tree, without results, in a first commit."""
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in files:
            if (ROOT / name).is_file() and not name.startswith(("dvc.lock", "metrics/", "plots/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        repository = cls(folder, commands)
        repository.git("init", "--quiet")
        repository.commit()
        return repository

    def copy_to(self, folder: Path) -> "Repository":
        """The whole repository once more, with DVC's cache."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Repository(folder, self.commands)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        return self.run("git", *identity, *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def run(self, *command: str) -> str:
        """The command's output; its failure fails the test with what it printed."""
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def end_dvc(self, *arguments: str, until: str, shell: str = "/bin/sh") -> str:
        """The output of a DVC that is ended once its output has the text `until`; what it started must end with it."""
        log = self.folder.parent / "ended.log"
        with log.open("wb") as output:
            dvc = subprocess.Popen(
                [sys.executable, "-m", "dvc", *arguments],
                cwd=self.folder,
                env={**self.cold_environment, "SHELL": shell},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while until not in log.read_text():
                assert dvc.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            started = psutil.Process(dvc.pid).children(recursive=True)
        finally:
            dvc.terminate()
            dvc.wait()
        _, left = psutil.wait_procs(started, timeout=60)
        for process in left:
            process.kill()
        assert not left
        return log.read_text()

    def set(self, *changes: tuple[str, str]) -> None:
        """Replace texts in params.yaml, each of which must be there."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text)

    def metrics(self, name: str) -> dict:
        return json.loads((self.folder / f"metrics/{name}.json").read_text())

    def contents(self, paths: list[str]) -> dict[str, bytes]:
        return {path: (self.folder / path).read_bytes() for path in paths}


def ran(output: str) -> set[str]:
    """The stages that DVC says it ran."""
    return {name for name in STAGES if f"Running stage '{name}'" in output}
