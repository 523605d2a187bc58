"""Starts processes on this machine with a common store, restarts all if one is lost, and ends them together."""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from torch.distributed import DistStoreError, FileStore  # pyright: ignore[reportPrivateImportUsage]

from lstm_lm.core.interruption import Interrupted, Signals, end_with_parent
from lstm_lm.core.printable import say

RESTARTS = 3
"""The most restarts of all processes after one was lost: killed, or ended by a library."""

GRACE_SECONDS = 30.0
"""The others must end within this time after one has failed or was lost."""

SAVED = Interrupted(signal.SIGTERM).status
"""The exit status of a process that has saved the state after `launch` sent it a SIGTERM."""

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def launch(target: Callable[..., object], count: int, *arguments: object) -> bytes | None:
    """Call `target(store, tell, rank, count, *arguments)` in `count` processes; return the first failure told, or None.

    A process that fails calls `tell` with a JSON list whose first item is the time, and then ends with status 0. The
    store is a file that only this user can open; a failure removes it. Messages stay on the loopback interface.

    Raises:
        ValueError: a process was lost after the last restart too.
        Interrupted: a signal came; the processes were sent a SIGTERM and have ended.
    """
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = LOOPBACK
    lost = ""
    with Signals() as signals:
        for restart in range(1 + RESTARTS):
            # The writers stay open here: a reader is ready when a failure was told, not when a process has ended.
            readers, writers = zip(*(connection.Pipe(duplex=False) for _ in range(count)), strict=True)
            with TemporaryDirectory() as folder:
                workers = _start(target, f"{folder}/store", writers, arguments)
                lost = _wait(workers, readers, signals)
            told = [reader.recv_bytes() for reader in readers if reader.poll()]
            if told and not lost:
                return min(told, key=json.loads)
            if signals.received:
                raise Interrupted(signals.received, saved=workers[0].exitcode == SAVED)
            if not lost:
                return None
            if restart < RESTARTS:
                say(f"{lost}: all start again, restart {restart + 1} of {RESTARTS}", sys.stderr)
    raise ValueError(
        f"{lost}, after {RESTARTS} restarts. Is there enough memory? The same command goes on from the last checkpoint"
    )


def _start(
    target: Callable[..., object], place: str, writers: Sequence[Connection], arguments: tuple[object, ...]
) -> list[SpawnProcess]:
    """Start the processes, with the signals blocked that a terminal sends to a whole group."""
    try:
        FileStore(place)
    except DistStoreError as error:
        raise OSError(f"cannot write {place}: {error}") from error
    process = get_context("spawn").Process
    workers = [
        process(target=_work, args=(target, place, writer, rank, len(writers), *arguments), daemon=True)
        for rank, writer in enumerate(writers)
    ]
    resource_tracker.ensure_running()  # now: started by the first process, it would unblock the signals
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    for worker in workers:
        worker.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return workers


def _work(target: Callable[..., object], place: str, writer: Connection, *arguments: object) -> None:
    end_with_parent()

    def tell(failure: bytes) -> None:
        writer.send_bytes(failure)
        Path(place).unlink(missing_ok=True)  # else torch writes to it again, and hangs where the disk is full

    try:
        target(FileStore(place), tell, *arguments)
    except Interrupted as stopped:
        sys.exit(stopped.status)


def _wait(workers: list[SpawnProcess], readers: Sequence[Connection], signals: Signals) -> str:
    """Wait until all have ended, at most GRACE_SECONDS after a failure; return which one was lost and how, or ""."""
    try:
        while alive := [worker.sentinel for worker in workers if worker.is_alive()]:
            told = any(reader.poll() for reader in readers)
            if signals.received or told or any(worker.exitcode for worker in workers):
                break
            connection.wait([*alive, *readers], timeout=0.2)
        for worker in workers:
            if signals.received:
                worker.terminate()
        for worker in workers:
            worker.join(None if signals.received else GRACE_SECONDS)
        heeded = SAVED if signals.received else 0
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
