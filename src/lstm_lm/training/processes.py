"""Starting the processes of a training, and ending them together: torch's elastic launcher around one function.

On one machine the launcher is started here. Under `torchrun`, which may have started it on several machines, this
process is one of those that share the training.
"""

import logging
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from lstm_lm.core.interruption import Interrupted, end_with_dvc
from lstm_lm.training.group import ALONE, Group

RESTARTS = 3
"""How often all processes start again, from the checkpoint, because one of them was lost."""

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Type of the device -> what carries messages between processes; numbers on the CPU go through gloo everywhere."""

FAILURE = "failure"
"""The key of the exception in the store that the processes share."""

Work = Callable[..., None]
"""Called with the group, the device and what else was given to `run`; known by its module and name."""


def run(work: Work, count: int, device: torch.device, *arguments: object) -> None:
    """Call `work(group, device, *arguments)` in `count` processes, which is this one where `count` is 1.

    Of a group, only the first process has stdout and stderr. If `work` raises an exception in any of them, all of
    them end, and it is raised here once. If a process is lost, or torch fails in it (RuntimeError), all start again.

    Raises:
        ValueError: `device` cannot be shared, `torchrun` started another number of processes, one was lost for good.
        Interrupted: a signal came.
    """
    started = int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else None
    if started not in (None, count):
        raise ValueError(f"torchrun started {started} processes, train.processes is {count}: make them equal")
    if count == 1:
        work(ALONE, device, *arguments)
        return
    check_device(device, on_this_machine(count), count)
    failure = _take_part(False, work, device, *arguments) if started else _launch(work, count, device, *arguments)
    if failure:
        raise failure


def on_this_machine(count: int) -> int:
    """How many of `count` processes are, or will be, on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", count))


def check_device(device: torch.device, here: int, count: int) -> None:
    """Raise ValueError unless each of the processes on this machine, `here` of `count`, has a device of its own."""
    if device.type == "mps":
        raise ValueError(f"train.processes is {count}; allowed on mps: 1 (or set device to cpu)")
    if device.type == "cuda" and here > torch.cuda.device_count():
        raise ValueError(
            f"train.processes is {count}, {here} on this machine, which has {torch.cuda.device_count()} CUDA GPU(s); "
            "each process needs one"
        )


def _launch(work: Work, count: int, device: torch.device, *arguments: object) -> Exception | None:
    """Start all processes on this machine and wait for them; why they ended, unless it was well."""
    # A start that needs no launcher should not wait for its import.
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("torch.distributed.elastic", "torch.multiprocessing.spawn"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` arranges it
    end_with_dvc()
    with TemporaryDirectory() as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            logs_specs=DefaultLogsSpecs(logs),
            run_id="training",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=RESTARTS,
            signals_to_handle="SIGTERM,SIGINT" + ("" if ignored else ",SIGHUP"),
        )
        try:
            failures = elastic_launch(config, _take_part)(True, work, device, *arguments)
        except SignalException as stopped:
            raise Interrupted(stopped.sigval) from None
        except ChildFailedError as lost:
            rank, last = lost.get_first_failure()
            how = f"was killed by {last.signal_name()}" if last.exitcode < 0 else f"failed ({last.message})"
            raise ValueError(
                f"process {rank} of {count} {how}; it was start number {RESTARTS + 1}. Is there enough memory? "
                "The same command goes on from the last checkpoint"
            ) from lost
    return next(filter(None, failures.values()), None)


def _take_part(launched: bool, work: Work, device: torch.device, *arguments: object) -> Exception | None:
    """Be one of the processes, `launched` here or by torchrun; a failure that a restart would repeat is returned."""
    launcher = os.getppid()
    store, group = _join(launched, device)
    try:
        work(group, device, *arguments)
    except RuntimeError:  # what torch raises where another process is gone
        if not store.check([FAILURE]):
            raise
        return pickle.loads(store.get(FAILURE))
    except Exception as failure:
        failure.add_note("".join(traceback.format_tb(failure.__traceback__)))
        # For those that will find this process gone.
        store.set(FAILURE, pickle.dumps(failure))  # pyright: ignore[reportArgumentType]
        return failure
    finally:
        distributed.destroy_process_group()
        if os.getppid() != launcher:  # which was killed; nobody would take the result
            os._exit(1)
    return None


def _join(launched: bool, device: torch.device) -> tuple[distributed.Store, Group]:  # pyright: ignore[reportPrivateImportUsage]
    """Meet the other processes, and be quiet unless this is the first: the store of all, and the group."""
    store, rank, size = next(rendezvous("env://"))
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if launched:  # in one store for all starts, nobody must meet the addresses of processes that are gone
        store = distributed.PrefixStore(restarts, store)  # pyright: ignore[reportPrivateImportUsage]
    if rank:
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    elif restarts != "0":
        print(f"a process was lost; all {size} start again, restart {restarts}", file=sys.stderr, flush=True)
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(BACKENDS[device.type], store=store, rank=rank, world_size=size)
    return store, Group(rank, size)
