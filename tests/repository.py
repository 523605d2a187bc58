"""The project in a git repository of its own, where a test uses it through DVC's command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from projects import GIT, ROOT, params_text, set_params
from stage_process import wait_until

COMMAND_SECONDS = 300
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

_GUARD = '''\
"""Writes down whom a Python process turns to beyond this machine, and does not let it."""
import sys

def guard(event, arguments):
    addressed = event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple))
    host = (arguments[0] if event == "socket.getaddrinfo" else arguments[1][0]) if addressed else None
    if host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"):
        with open({log!r}, "a") as log:
            print(sys.argv, event, host, file=log)
        raise OSError("no request may leave this machine")

sys.addaudithook(guard)
'''


class Repository:
    """A git repository with the project in `folder`; everything else that its commands write is in `folder.parent`."""

    def __init__(self, folder: Path) -> None:
        self.folder, outside = folder, folder.parent
        self.requests = outside / "requests.log"
        (outside / "guard").mkdir(parents=True, exist_ok=True)
        (outside / "guard/sitecustomize.py").write_text(_GUARD.format(log=str(self.requests)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))}
        self.environment = kept | {
            **GIT,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # As if the package were installed from this very folder: editable.
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{outside / 'guard'}",
            "COLUMNS": "500",
            "DVC_SITE_CACHE_DIR": str(outside / "site-cache"),
            "DVC_GLOBAL_CONFIG_DIR": str(outside / "no-config"),
            "DVC_SYSTEM_CONFIG_DIR": str(outside / "no-config"),
        }

    @classmethod
    def of_project(cls, folder: Path) -> "Repository":
        """The project as it stands in the working tree, with the tests' parameters, without results, in a commit."""
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in files:
            if (ROOT / name).is_file() and not name.startswith(("dvc.lock", "metrics/", "plots/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "params.yaml").write_text(params_text(), "utf-8")
        repository = cls(folder)
        repository.git("init", "--quiet")
        repository.commit()
        return repository

    def copy_to(self, folder: Path) -> "Repository":
        """The whole repository once more, with DVC's cache."""
        return Repository(shutil.copytree(self.folder, folder, symlinks=True))

    def set(self, **changes: object) -> None:
        """Replace values in params.yaml: train__lr=2 stands for train.lr."""
        set_params(self.folder, **changes)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def restore(self) -> None:
        """Go back to the commit: files and DVC's outputs."""
        self.git("checkout", "--quiet", ".")
        self.dvc("checkout", "--quiet")

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def run(self, *command: str) -> str:
        """The command's output; its failure fails the test with what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def end_dvc(self, *arguments: str, until: str, shell: str = "/bin/sh") -> str:
        """The output of a DVC that is ended once its output has the text `until`; what it started must end with it."""
        import psutil  # not at the top: conftest imports this file on machines that have pytest and little else

        log = self.folder.parent / "ended.log"
        environment = self.environment | {"SHELL": shell}
        with log.open("wb") as output:
            command = ["dvc", *arguments]
            dvc = psutil.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: dvc.poll() is not None or until in log.read_text(), COMMAND_SECONDS)
            assert dvc.poll() is None, log.read_text()
            started = dvc.children(recursive=True)
        finally:
            dvc.terminate()
            dvc.wait()
        _, left = psutil.wait_procs(started, timeout=60)
        for process in left:
            process.kill()
        assert not left
        return log.read_text()

    def contents(self, paths: list[str]) -> dict[str, bytes]:
        return {path: (self.folder / path).read_bytes() for path in paths}


def ran(output: str) -> set[str]:
    """The stages that DVC says it ran."""
    return {name for name in STAGES if f"Running stage '{name}'" in output}
