"""A stage as a process of its own, forked from one that has imported torch: a start takes no second."""

import itertools
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import psutil

PATIENCE_SECONDS = 60.0
STAGE_SECONDS = 120
"""After so long a stage hangs: it is ended, which fails its test."""

_NUMBERS = itertools.count()
_IMPORTED = ["comparison.cell_picture", "corpus.source", "evaluation.inspection", "tokens.draft", "training.experiment"]
multiprocessing.get_context("forkserver").set_forkserver_preload([f"lstm_lm.{name}" for name in _IMPORTED])


def wait_until(happened: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class StageProcess(ForkServerProcess):
    """A stage of the project in `folder`, started; no file of it may grow beyond `file_limit` bytes."""

    def __init__(self, stage: str, folder: Path, file_limit: int | None = None) -> None:
        super().__init__()
        self._script, self._file_limit = folder / f"stages/{stage}.py", file_limit
        number = next(_NUMBERS)
        self._logs = [folder.with_name(f"{stage}-{number}.{stream}") for stream in ("out", "err")]
        for log in self._logs:
            log.touch()
        self.start()

    def run(self) -> None:
        """In the new process: be what a shell has started by `python stages/<stage>.py`."""
        for descriptor, log in enumerate(self._logs, 1):
            os.dup2(os.open(log, os.O_WRONLY), descriptor)
        sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
        os.chdir(self._script.parents[1])
        signal.alarm(STAGE_SECONDS)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
        if self._file_limit is not None:
            sys.dont_write_bytecode = True  # half of a file would be left to the others
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._file_limit, self._file_limit))
        sys.argv = [str(self._script)]
        runpy.run_path(sys.argv[0], run_name="__main__")

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
        assert self.exitcode == 1, (self.exitcode, self.err)
        (line,) = (line for line in self.err.splitlines() if not line.startswith("epoch "))
        return line

    def wait_for(self, text: str, stream: Literal["out", "err"] = "err") -> None:
        """Wait until `text` stands in its output."""
        wait_until(lambda: text in getattr(self, stream))

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.pid and self.is_alive():
            os.kill(self.pid, number)

    def workers(self) -> "list[psutil.Process]":
        """The processes that it has started for a shared training, in the order of their ranks."""
        import psutil  # noqa: PLC0415: this module is imported also where pytest is and little else

        children = psutil.Process(self.pid).children()
        return sorted((child for child in children if "spawn_main" in " ".join(child.cmdline())), key=lambda it: it.pid)

    def wait(self) -> "StageProcess":
        """Wait for its end."""
        self.join()
        return self
