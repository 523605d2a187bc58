"""SIGTERM, Ctrl-C and the end of the terminal, held back until the training is at a point where it can be saved."""

import os
import signal
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A training stopped on a signal after its state was saved. `signum` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; the state is saved, the same command goes on")
        self.signum = signum


class Signals:
    """A context in which SIGTERM, SIGINT and SIGHUP only leave a mark in `received`; a second one acts at once.

    A SIGHUP that is ignored, as `nohup` arranges it, stays ignored.
    DVC does not pass on a SIGTERM: its stage would go on alone. So the end of the DVC that started this process
    counts as a SIGTERM to it.
    """

    def __init__(self) -> None:
        self._received: int | None = None
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
        for caught, handler in self._previous.items():
            signal.signal(caught, handler)
