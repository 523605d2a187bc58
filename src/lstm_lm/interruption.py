"""SIGTERM and Ctrl-C, held back until the training is at a point where it can be saved."""

import signal
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A training stopped on a signal after its state was saved. `signum` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; the state is saved, the same command goes on")
        self.signum = signum


class Signals:
    """A context in which SIGTERM and SIGINT only leave a mark in `received`; a second one acts at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "Signals":
        self._previous = {number: signal.signal(number, self._mark) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _mark(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        for caught, handler in self._previous.items():
            signal.signal(caught, handler)
