"""Stage scripts and DVC as processes that need not import torch and DVC anew."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """How a process ended; a negative `status` is the signal that killed it."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """Its only line on stderr besides the progress, of a run that failed as it should."""
        assert self.status == 1, (self.status, self.err)
        lines = [line for line in self.err.splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, self.err
        return lines[0]


class Child:
    """A running stage script."""

    def __init__(self, connection: socket.socket, log: str) -> None:
        self.answers, self.log = connection.makefile(), log
        self.pid = int(self.answers.readline())
        connection.close()  # with `answers`

    def read(self, ending: str) -> str:
        """What it has written so far to "out" or "err"."""
        return Path(f"{self.log}.{ending}").read_text(encoding="utf-8")

    def wait_for(self, ending: str, text: str) -> None:
        """Wait until `text` stands in its output."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.read(ending):
            assert time.monotonic() < deadline, f"{text!r} does not come"
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a child that has ended is still there until `wait`, so no other process can be hit."""
        os.kill(self.pid, number)

    def wait(self) -> Result:
        """Wait for its end."""
        with self.answers:
            status = int(self.answers.readline())
        return Result(status, self.read("out"), self.read("err"))


class Nursery:
    """The other side of nursery_process.py.

    `commands` is a folder for PATH: there, `dvc` and a `python` that is given a stage script ask the nursery.
    """

    def __init__(self, folder: Path) -> None:
        # A training's checkpoint belongs to the very code: an edit while the tests run must not change it.
        self.code, self.logs, self.children = folder / "code", folder / "logs", 0
        self.logs.mkdir()
        for name in ("src", "stages"):
            shutil.copytree(ROOT / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {**os.environ, "PYTHONPATH": str(self.code / "src")}
        self.socket = Path(tempfile.mkdtemp(prefix="nursery-")) / "socket"  # the name of one must be short
        command = [sys.executable, "-u", str(ROOT / "tests/nursery_process.py"), str(self.socket)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "listening\n"
        self.commands = folder / "commands"
        self._write_commands()

    def _write_commands(self) -> None:
        self.commands.mkdir()
        asking = f'exec "{sys.executable}" -IS "{ROOT}/tests/nursery_client.py" "{self.socket}"'
        (self.commands / "dvc").write_text(f'#!/bin/sh\n{asking} dvc "$@"\n')
        (self.commands / "python").write_text(
            f'#!/bin/sh\ncase "$1" in stages/*) {asking} "$@" ;; esac\nexec "{sys.executable}" "$@"\n'
        )
        for command in self.commands.iterdir():
            command.chmod(0o755)

    def start(self, stage: str, folder: Path, file_limit: int | None = None) -> Child:
        """Start stages/<stage>.py in `folder`; no file of it may grow beyond `file_limit` bytes."""
        self.children += 1
        log = str(self.logs / f"{self.children}-{stage}")
        request = {
            "command": [str(self.code / f"stages/{stage}.py")],
            "folder": str(folder),
            "environment": self.environment,
            "file_limit": file_limit,
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.socket))
        with Path(os.devnull).open() as none, Path(f"{log}.out").open("w") as out, Path(f"{log}.err").open("w") as err:
            files = [file.fileno() for file in (none, out, err)]
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], files)
        return Child(connection, log)

    def script(self, stage: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
        """Start `python stages/<stage>.py`, imports and all, with these environment variables."""
        command = [sys.executable, str(self.code / f"stages/{stage}.py")]
        return subprocess.Popen(
            command,
            cwd=folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self.process.communicate()
        shutil.rmtree(self.socket.parent)
