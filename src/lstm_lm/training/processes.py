"""Runs work in several processes: started here on one machine, or by `torchrun`, on several machines too.

An exception in one process is raised in all.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from socket import if_nameindex

import torch
from torch import distributed
from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.rendezvous import rendezvous

from lstm_lm.core.interruption import Interrupted, end_with_parent
from lstm_lm.core.printable import say
from lstm_lm.core.stage import one_line
from lstm_lm.training.group import ALONE, Group
from lstm_lm.training.launcher import launch

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Type of the device -> torch.distributed's backends. Tensors on the CPU always go through gloo."""

PATIENCE = timedelta(days=30)
"""A process waits so long for another, which may validate for hours.

Our launcher and torchrun notice a lost process. A machine without power or network is noticed by nobody here: the batch
system must end the job.
"""

FAILURE = "failure"
"""torchrun's store has the first failure at this key."""

Work = Callable[..., None]
"""Called with the group, the device and the other arguments of `run`; pickled, so a function of a module."""

Tell = Callable[[bytes], bytes | None]
"""Takes the failure of a process, as JSON; returns the first failure of all where the caller needs it."""


def run(work: Work, count: int, device: torch.device, *arguments: object) -> None:
    """Call `work(group, device, *arguments)` in `count` processes; if that is 1, in this one.

    Of several processes, only the first has stdout and stderr. An exception of `work` in any of them ends all and is
    raised here once. If a process is lost, all start again.

    Raises:
        ValueError: the environment or `device` does not allow it, `work` raised it, or a process was lost for good.
        Interrupted: a signal came.
    """
    by_torchrun = _started_by_torchrun(count)
    if by_torchrun or "DVC_STAGE" in os.environ:
        end_with_parent()
    if count == 1:
        work(ALONE, device, *arguments)
        return
    check_device(device, on_this_machine(count), count)
    if by_torchrun:
        store, rank, _ = next(rendezvous("env://"))
        failure = _take_part(
            store, lambda told: store.compare_set(FAILURE, "", told.decode()), rank, count, work, device, *arguments
        )
    else:
        cores = os.cpu_count()
        if device.type == "cpu" and cores and count > cores:
            say(f"{count} processes on {cores} cores: they take turns")
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
        failure = launch(_take_part, count, work, device, *arguments)
    if failure:
        raise _exception(failure)


def on_this_machine(count: int) -> int:
    """The number of processes on this machine, of `count`."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if distributed.is_torchelastic_launched() else count


def check_device(device: torch.device, here: int, count: int) -> None:
    """Raise ValueError unless each of the `here` processes on this machine, of `count`, has its own device."""
    if device.type == "cuda" and here > torch.cuda.device_count():
        raise ValueError(
            f"train.processes is {count}, {here} on this machine, which has {torch.cuda.device_count()} CUDA GPU(s); "
            "each process needs one"
        )


def _started_by_torchrun(count: int) -> bool:
    """Whether torchrun started this process. Raises ValueError where the environment does not fit."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if not distributed.is_torchelastic_launched():
        if size > 1:
            raise ValueError(f"WORLD_SIZE is {size} without torchrun: start this with torchrun, or unset WORLD_SIZE")
        return False
    if size != count:
        raise ValueError(f"torchrun started {size} processes, train.processes is {count}: make them equal")
    known, names = [name for _, name in if_nameindex()], os.environ.get("GLOO_SOCKET_IFNAME", "")
    if names and not set(names.split(",")).issubset(known):
        raise ValueError(f"GLOO_SOCKET_IFNAME is {names}; the interfaces of this machine are {', '.join(known)}")
    return True


def _take_part(
    store: Store, tell: Tell, rank: int, count: int, work: Work, device: torch.device, *arguments: object
) -> bytes | None:
    """Be process `rank` of `count`; `tell` a failure, and return what that returns."""
    if rank:
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    store.set_timeout(PATIENCE)
    try:
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) if distributed.is_torchelastic_launched() else rank)
        distributed.init_process_group(
            BACKENDS[device.type], timeout=PATIENCE, store=store, rank=rank, world_size=count
        )
        work(Group(rank, count), device, *arguments)
    except Interrupted:  # in all processes, with the state saved
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's may come after the system's
        raise
    except Exception as failure:  # such as torch's RuntimeError because another process has failed
        return tell(_told(failure))
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    return None


def _told(failure: Exception) -> bytes:
    """A failure as JSON, with the time; short enough to fit into a pipe that nobody reads yet."""
    trace = "".join(traceback.format_tb(failure.__traceback__, limit=-20))
    message = one_line(failure)
    return json.dumps([time.monotonic(), message and message[:1000], repr(failure)[:1000], trace[-4000:]]).encode()


def _exception(told: bytes) -> Exception:
    """The exception for `_told`'s JSON: RuntimeError for a mistake in the code, else ValueError."""
    _, message, words, trace = json.loads(told)
    failure = ValueError(message) if message else RuntimeError(words)
    failure.add_note(trace)
    return failure
