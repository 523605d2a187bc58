"""The device: choice, numerics, clocks, memory, and the record of the environment."""

import contextlib
import ctypes
import os
import platform
import resource
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.collect_env import get_nvidia_driver_version
from torch.utils.collect_env import run as run_command

from lstm_lm.core.numerics import choose as choose_code
from lstm_lm.core.numerics import is_x86_64, unpinned
from lstm_lm.core.printable import say
from lstm_lm.core.processor import processor

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Linux's file with the memory limit of a container, in bytes."""

PROCESS = Path("/proc/self/status")
"""Linux's file with the memory use of this process."""


def choose(name: str) -> torch.device:
    """The device for `device:` in params.yaml; "auto" takes CUDA, else the CPU.

    MPS is no choice: it has no float64, in which losses are summed, and nn.LSTM has had wrong gradients there (with its
    own dropout, in torch 2.13.0 and a development build of 2.14; pytorch/pytorch issue 190056).

    Raises:
        ValueError: the device asked for is not on this machine.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise ValueError("device is cuda, which this machine does not have; allowed here: auto, cpu")
    return torch.device("cuda" if name != "cpu" and has_cuda else "cpu")


def configure(device: torch.device, precision: str, numerics: str) -> None:
    """Make results repeatable on `device` and set the precision of products; call it before anything is computed.

    On the CPU, libraries use code for every x86-64 processor or, if `numerics` is "native", this one's fastest.
    Algorithms are deterministic. CUDA also gets a fixed cuBLAS workspace, and TF32 only if `precision` is "tf32":
    cuDNN's LSTM would use it by default, matrix products would not.

    Raises:
        ValueError: `precision` is not to be had on `device`.
    """
    if device.type == "cpu":
        choose_code(numerics)
        if numerics == "native" and "MKL_DOMAIN_NUM_THREADS" not in os.environ:
            torch.set_num_threads(torch.get_num_threads())  # MKL read the pin when it was loaded
        if numerics == "portable" and is_x86_64() and not (unpinned() or is_portable()):
            capability = torch.backends.cpu.get_cpu_capability()
            say(f"torch computes with {capability}, not AVX2: nn.LSTM's bytes are this machine's own", sys.stderr)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, when it is first used
    if precision == "tf32" and not (device.type == "cuda" and torch.cuda.is_tf32_supported()):
        raise ValueError(f"train.precision is 'tf32', which {device_name(device)} does not have; use fp32")
    if precision == "bf16" and not _has_bf16(device):
        pinned = device.type == "cpu" and is_portable()
        native = "numerics native, which has it on processors with AVX-512, or " if pinned else ""
        raise ValueError(
            f"train.precision is 'bf16', in which torch.nn.LSTM does not compute on {device_name(device)}; "
            f"use {native}fp32"
        )
    _keep_freed_memory()
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, but for importing torch's compiler
    # A debugging aid that writes every new tensor twice. The type stubs do not know it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    rounding = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = rounding
    setattr(torch.backends.cudnn.rnn, "fp32_precision", rounding)  # noqa: B010, missing in the type stubs


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: each step would have to get the same pages from the system again."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, its largest value


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """The context of a forward pass: bfloat16 products where `precision` is "bf16", else nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def _has_bf16(device: torch.device) -> bool:
    """Whether nn.LSTM computes in bfloat16 on `device`, found by trying.

    Processors without AVX-512 raise an error. On CUDA, torch's autocast has cast cuDNN's LSTM to float16, whatever it
    was asked for (aten/src/ATen/cudnn/AutocastRNN.cpp).
    """
    lstm = nn.LSTM(1, 1).to(device)
    try:
        with autocast(device, "bf16"):
            outputs, _ = lstm(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return outputs.dtype is torch.bfloat16


def synchronize(device: torch.device) -> None:
    """Wait until `device` has finished all work; call it before reading a clock."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """The peak memory so far, in bytes: allocated on the GPU, or resident in this process.

    Linux counts the process that started this one into ru_maxrss, so its own peak is read where Linux tells it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError, IndexError):
        return int(PROCESS.read_text(encoding="utf-8", errors="replace").split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def total_memory(device: torch.device) -> int:
    """The memory of `device` in bytes; on the CPU at most the container's limit."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no container, or one with the limit "max"
        return min(installed, int(CONTAINER_LIMIT.read_text(encoding="ascii")))
    return installed


def device_name(device: torch.device) -> str:
    """The name of the GPU, or the processor and its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor().name}, {threads} thread{'' if threads == 1 else 's'}"


def measured_on(device: torch.device) -> str:
    """Device and version of torch, beside a measured time."""
    return f"{device_name(device)}, torch {torch.__version__}"


def environment(device: torch.device, kernel: str, precision: str, everywhere: bool = False) -> dict[str, object]:
    """What the bytes of a training depend on besides code, data and parameters: equal records mean equal bytes.

    With `everywhere`, the bytes are the same on every machine, so the record names none. Builds of one version of torch
    (+cpu, +cu130) give the same bytes.
    """
    record: dict[str, object] = {"device": device.type, "kernel": kernel, "precision": precision}
    if everywhere:
        return record
    return record | {"torch": torch.__version__.partition("+")[0], "instructions": _instructions(device)}


def is_portable() -> bool:
    """Whether torch uses code for every x86-64 processor on the CPU: the pins are set and have an effect."""
    return is_x86_64() and not unpinned() and torch.backends.cpu.get_cpu_capability() == "AVX2"


def _instructions(device: torch.device) -> str:
    """The hardware and libraries that the bytes depend on."""
    if device.type == "cuda":
        driver = get_nvidia_driver_version(run_command) or "unknown"
        versions = f"CUDA {torch.version.cuda}, driver {driver}, cuDNN {torch.backends.cudnn.version()}"
        return f"{device_name(device)}, {versions}"
    if is_portable():
        return "portable x86-64 (AVX2, FMA)"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {device_name(device)}"
