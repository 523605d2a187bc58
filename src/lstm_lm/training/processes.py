"""The processes that share a training: each takes part in the same work, and what one of them raises, all raise.

On one machine they are started here. Under `torchrun`, which may have started it on several machines, this process is
one of them.
"""

import json
import os
import sys
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
from lstm_lm.core.stage import one_line
from lstm_lm.training.group import ALONE, Group
from lstm_lm.training.launcher import FAILURE, launch

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Type of the device -> what carries messages between processes; numbers on the CPU go through gloo everywhere."""

PATIENCE = timedelta(days=30)
"""How long a process waits for another: it may validate for hours, and whoever started them notices if one is lost."""

Work = Callable[..., None]
"""Called with the group, the device and what else was given to `run`; known by its module and name."""


def run(work: Work, count: int, device: torch.device, *arguments: object) -> None:
    """Call `work(group, device, *arguments)` in `count` processes, which is this one where `count` is 1.

    Of a group, only the first process has stdout and stderr. If `work` raises an exception in any of them, all of
    them end, and it is raised here once. If a process is lost, all start again.

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
        failure = _take_part(store, rank, count, work, device, *arguments)
    else:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
        failure = launch(_take_part, count, work, device, *arguments)
    if failure:
        raise _exception(failure)


def on_this_machine(count: int) -> int:
    """How many of `count` processes are, or will be, on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if distributed.is_torchelastic_launched() else count


def check_device(device: torch.device, here: int, count: int) -> None:
    """Raise ValueError unless each of the processes on this machine, `here` of `count`, has a device of its own."""
    if device.type == "mps":
        raise ValueError(f"train.processes is {count}; allowed on mps: 1 (or set device to cpu)")
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


def _take_part(store: Store, rank: int, count: int, work: Work, device: torch.device, *arguments: object) -> str:
    """Be process number `rank` of `count`. Returns what the first of them that failed has said, or ""."""
    if rank:
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) if distributed.is_torchelastic_launched() else rank)
    store.set_timeout(PATIENCE)
    try:
        distributed.init_process_group(
            BACKENDS[device.type], timeout=PATIENCE, store=store, rank=rank, world_size=count
        )
        work(Group(rank, count), device, *arguments)
    except Interrupted:  # as all are
        raise
    except Exception as failure:  # such as torch's RuntimeError because another process has failed
        if not store.check([FAILURE]):
            store.set(FAILURE, _told(failure))
        return store.get(FAILURE).decode()
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    return ""


def _told(failure: Exception) -> str:
    """A failure as JSON."""
    return json.dumps([one_line(failure), repr(failure), "".join(traceback.format_tb(failure.__traceback__))])


def _exception(told: str) -> Exception:
    """What `_told` tells: a RuntimeError stands for a mistake in the code, a ValueError for all that is none."""
    message, words, trace = json.loads(told)
    failure = ValueError(message) if message else RuntimeError(words)
    failure.add_note(trace)
    return failure
