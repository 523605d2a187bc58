"""Signals that stop a training, held back until its state can be saved."""

import multiprocessing
import os
import signal
import time
from threading import Thread
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A training was stopped by a signal; `saved`: with its state saved. `status` is the exit status."""

    def __init__(self, signum: int, saved: bool = True) -> None:
        super().__init__(signum)
        self.signum, self.saved = signum, saved
        self.status = 128 + signum  # as in a shell

    def __str__(self) -> str:
        kept = "the state is saved, the same command goes on"
        if not self.saved:
            kept = "the same command goes on from the last checkpoint, if there is one"
        return f"stopped by {signal.Signals(self.signum).name}; {kept}"


class Signals:
    """A context in which SIGTERM, SIGINT and SIGHUP only set `received`.

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
    """Send this process a SIGTERM when its parent ends: DVC does not pass on the signals that it gets."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getppid()
    Thread(target=_terminate_without, args=[pid], daemon=True).start()


def _terminate_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
