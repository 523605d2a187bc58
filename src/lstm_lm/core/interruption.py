"""SIGTERM, Ctrl-C and the end of the terminal, held back until the training is at a point where it can be saved."""

import multiprocessing
import os
import signal
import time
from threading import Thread
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A training stopped on a signal after its state was saved. `status` is the exit status for this."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.status = 128 + signum  # as a shell would say

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}; the state is saved, the same command goes on"


class Signals:
    """A context in which SIGTERM, SIGINT and SIGHUP only leave a mark in `received`.

    The second of the same kind acts at once; a closed terminal makes two kinds, since DVC ends by it too.
    Not if `launched`: the terminal and the launcher both send what was typed once.
    A SIGHUP that is ignored, as `nohup` arranges it, stays ignored.
    """

    def __init__(self, launched: bool = False) -> None:
        self.received: int | None = None
        self._launched = launched

    def __enter__(self) -> "Signals":
        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._previous = {int(number): signal.signal(number, self._mark) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _mark(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        if not self._launched:
            signal.signal(number, self._previous[number])


def end_with_parent() -> None:
    """Send this process a SIGTERM when the process that started it ends: DVC does not pass on its own."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getppid()
    Thread(target=_terminate_without, args=[pid], daemon=True).start()


def _terminate_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
