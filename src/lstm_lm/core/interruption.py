"""SIGTERM, Ctrl-C and the end of the terminal, held back until the training is at a point where it can be saved."""

import os
import signal
import time
from threading import Thread
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A training stopped on a signal after its state was saved. `signum` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}; the state is saved, the same command goes on"


class Signals:
    """A context in which SIGTERM, SIGINT and SIGHUP only leave a mark in `received`; a second one acts at once.

    Not if `launched`: the terminal and the launcher both send what was typed once.
    A SIGHUP that is ignored, as `nohup` arranges it, stays ignored.
    DVC does not pass on a SIGTERM: its stage would go on alone. So the end of the DVC that started this process
    counts as a SIGTERM to it.
    """

    def __init__(self, launched: bool = False) -> None:
        self._received: int | None = None
        self._launched = launched
        self._dvc = os.getppid() if "DVC_STAGE" in os.environ else None

    @property
    def received(self) -> int | None:
        """The number of the signal to stop on."""
        orphaned = self._dvc is not None and os.getppid() != self._dvc
        return self._received or (signal.SIGTERM if orphaned else None)

    def __enter__(self) -> "Signals":
        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._previous = {number: signal.signal(number, self._mark) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _mark(self, number: int, _frame: FrameType | None) -> None:
        self._received = number
        if not self._launched:
            for caught, handler in self._previous.items():
                signal.signal(caught, handler)


def end_with_dvc() -> None:
    """Send this process a SIGTERM when the DVC that started it ends, as `Signals` does for a process without others."""
    if "DVC_STAGE" in os.environ:
        Thread(target=_terminate_without, args=[os.getppid()], daemon=True).start()


def _terminate_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
