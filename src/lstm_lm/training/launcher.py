"""Starts processes on this machine with a common store, restarts all if one is lost, and ends them together."""

import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory

from torch.distributed import DistStoreError, FileStore  # pyright: ignore[reportPrivateImportUsage]

from lstm_lm.core.interruption import Interrupted, Signals, end_with_parent
from lstm_lm.core.printable import say

RESTARTS = 3
"""The most restarts of all processes after one was lost: killed, or ended by a library."""

GRACE_SECONDS = 30.0
"""The others must end within this time after one has failed or was lost."""

FAILURE = "failure"
"""The store's key for the reason of a failure; the process that failed then ends with status 0."""

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def launch(target: Callable[..., object], count: int, *arguments: object) -> str:
    """Call `target(store, rank, count, *arguments)` in `count` processes; return the reason of a failure, or "".

    The store is a file that only this user can open, and messages stay on the loopback interface.

    Raises:
        ValueError: a process was lost after the last restart too.
        Interrupted: a signal came; the processes were sent a SIGTERM and have ended.
    """
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = LOOPBACK
    lost = ""
    with TemporaryDirectory() as folder, Signals() as signals:
        for restart in range(1 + RESTARTS):
            place = f"{folder}/{restart}"
            store = _store(place)
            lost = _wait(_start(target, place, count, arguments), store, signals)
            if not lost and store.check([FAILURE]):
                return store.get(FAILURE).decode()
            if signals.received:
                raise Interrupted(signals.received)
            if not lost:
                return ""
            if restart < RESTARTS:
                say(f"{lost}: all start again, restart {restart + 1} of {RESTARTS}", sys.stderr)
    raise ValueError(
        f"{lost}, after {RESTARTS} restarts. Is there enough memory? The same command goes on from the last checkpoint"
    )


def _store(place: str) -> FileStore:
    try:
        return FileStore(place)
    except DistStoreError as error:
        raise OSError(f"cannot write {place}: {error}") from error


def _start(target: Callable[..., object], place: str, count: int, arguments: tuple[object, ...]) -> list[SpawnProcess]:
    """Start the processes, with the signals blocked that a terminal sends to a whole group."""
    process = get_context("spawn").Process
    workers = [
        process(target=_work, args=(target, place, rank, count, *arguments), daemon=True) for rank in range(count)
    ]
    resource_tracker.ensure_running()  # now: started by the first process, it would unblock the signals
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    for worker in workers:
        worker.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return workers


def _work(target: Callable[..., object], place: str, *arguments: object) -> None:
    end_with_parent()
    try:
        target(FileStore(place), *arguments)
    except Interrupted as stopped:
        sys.exit(stopped.status)


def _wait(workers: list[SpawnProcess], store: FileStore, signals: Signals) -> str:
    """Wait until all have ended, at most GRACE_SECONDS after a failure; return which one was lost and how, or ""."""
    try:
        while alive := [worker.sentinel for worker in workers if worker.is_alive()]:
            if signals.received or store.check([FAILURE]) or any(worker.exitcode for worker in workers):
                break
            connection.wait(alive, timeout=0.2)
        for worker in workers:
            if signals.received:
                worker.terminate()
        for worker in workers:
            worker.join(None if signals.received else GRACE_SECONDS)
        heeded = Interrupted(signal.SIGTERM).status if signals.received else 0
        ends = [(worker.exitcode, number) for number, worker in enumerate(workers, 1)]
        lost = [(code, number) for code, number in ends if code and code != heeded]
    finally:
        for worker in workers:
            worker.kill()
    if not lost:
        return ""
    code, number = min(lost)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    return f"process {number} of {len(workers)} {how}"
