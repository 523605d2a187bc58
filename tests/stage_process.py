"""A stage as a process of its own, forked from one that has imported torch: a start takes no second."""

import multiprocessing
import os
import resource
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Literal

PATIENCE_SECONDS = 60.0
STAGE_SECONDS = 120
"""After so long a stage hangs: it is ended, which fails its test."""

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "lstm_lm.comparison.passages",
        "lstm_lm.corpus.source",
        "lstm_lm.evaluation.inspection",
        "lstm_lm.tokens.draft",
        "lstm_lm.training.experiment",
    ]
)


class StageProcess:
    """A stage of the project in `folder`, started; no file of it may grow beyond `file_limit` bytes."""

    _count = 0

    def __init__(self, stage: str, folder: Path, file_limit: int | None = None) -> None:
        StageProcess._count += 1
        self._logs = [folder.with_name(f"{stage}-{self._count}.{stream}") for stream in ("out", "err")]
        for log in self._logs:
            log.touch()
        self._process = _SERVER.Process(target=_run, args=(stage, folder, *self._logs, file_limit))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; negative: the signal that killed it; None: it runs."""
        return self._process.exitcode

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._logs[0].read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._logs[1].read_text(encoding="utf-8")

    @property
    def complaint(self) -> str:
        """Its only line on stderr besides the progress, of a run that failed as it should."""
        assert self.status == 1, (self.status, self.err)
        lines = [line for line in self.err.splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, self.err
        return lines[0]

    def wait_for(self, text: str, stream: Literal["out", "err"] = "err") -> None:
        """Wait until `text` stands in its output."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in getattr(self, stream):
            assert time.monotonic() < deadline, f"{text!r} does not come"
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.status is None:
            os.kill(self.pid, number)

    def wait(self) -> "StageProcess":
        """Wait for its end."""
        self._process.join()
        return self


def _run(stage: str, folder: Path, out: Path, err: Path, file_limit: int | None) -> None:
    """Be a fresh process in which a shell has started `python stages/<stage>.py`."""
    for descriptor, log in ((1, out), (2, err)):
        os.dup2(os.open(log, os.O_WRONLY), descriptor)
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    os.chdir(folder)
    signal.alarm(STAGE_SECONDS)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    if file_limit is not None:
        sys.dont_write_bytecode = True  # half of a file would be left to the others
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    sys.argv = [f"{folder}/stages/{stage}.py"]
    runpy.run_path(sys.argv[0], run_name="__main__")
