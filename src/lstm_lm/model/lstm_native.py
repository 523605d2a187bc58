"""The fused LSTM with its two loops over time in C++, compiled on demand for this machine, cached, never required."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from lstm_lm.atomic import write_bytes
from lstm_lm.model import lstm_fused
from lstm_lm.model.lstm_fused import Loops, Trace, new_trace

SOURCE = Path(__file__).with_suffix(".cpp")
CACHE = SOURCE.parent / "__pycache__"
"""Where Python keeps what it compiled from this folder; nothing is written outside the project."""
COMPILE = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-fopenmp", "-c")

# Without -fopenmp: the threads are those of the OpenMP library that libtorch_cpu brings along. Two such libraries
# would fight over the cores.
LINK = ("-shared", "-Wl,--no-as-needed", f"-L{Path(torch.__file__).parent / 'lib'}", "-ltorch_cpu")

_NAMES = {torch.float32: "float", torch.float64: "double"}


def run(gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
    """The forward loop; `gates` holds A' and is overwritten."""
    if not _is_for_us(gates, recurrent):
        return lstm_fused.run(gates, recurrent, initial_hidden, initial_cell)
    trace = new_trace(gates, initial_hidden, initial_cell)
    _call("forward", trace, gates, recurrent.contiguous(), trace.hidden, trace.cells, trace.squashed)
    return trace


def run_back(trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The backward loop: dA_1 ... dA_T, dH_0 and dC_0."""
    if not _is_for_us(trace.gates, recurrent):
        return lstm_fused.run_back(trace, recurrent, d_outputs, d_cell)
    d_gates, d_cell = torch.empty_like(trace.gates), d_cell.clone(memory_format=torch.contiguous_format)
    d_hidden = torch.cat([torch.zeros_like(d_outputs[:1]), d_outputs])
    known = (trace.gates, recurrent.contiguous(), trace.cells, trace.squashed)
    _call("backward", trace, *known, d_gates, d_hidden, d_cell)
    return d_gates, d_hidden[0], d_cell


NATIVE = Loops(run, run_back)
"""The loops of `lstm_fused` in C++, each thread on its own rows.

Where there is no compiler, on another device and under autocast they are the loops in PyTorch.
"""


def loops(device: torch.device, precision: str) -> str:
    """What the loops of `NATIVE` run in: "C++", with its compiler, or "PyTorch"."""
    compiled = library() if device.type == "cpu" and precision != "bf16" else None
    return "PyTorch" if compiled is None else f"C++ ({compiled.compiler().decode()})"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled loops, from the cache or compiled now; None, with a message, where that is not possible."""
    try:
        path = CACHE / f"lstm_native-{_digest()}.so"
        if not path.exists():
            write_bytes(path, build())
        compiled = ctypes.CDLL(str(path))
        compiled.compiler.restype = ctypes.c_char_p
        return compiled
    except (OSError, subprocess.SubprocessError) as error:
        print(f"no loops in C++, computing with those in PyTorch: {_first_line(error)}", file=sys.stderr)
        return None


def build() -> bytes:
    """The shared library made from SOURCE for this processor.

    Raises:
        OSError: there is no C++ compiler (CXX, else c++), or no place for temporary files.
        subprocess.SubprocessError: it does not accept the source or the flags, or takes more than five minutes.
    """
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        raise OSError(f"no C++ compiler {compiler!r}; install one or set CXX")
    with tempfile.TemporaryDirectory() as folder:
        compiled, linked = f"{folder}/lstm_native.o", Path(folder, "lstm_native.so")
        for command in (
            [compiler, *COMPILE, str(SOURCE), "-o", compiled],
            [compiler, compiled, "-o", str(linked), *LINK],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        return linked.read_bytes()


def _is_for_us(gates: Tensor, recurrent: Tensor) -> bool:
    """Whether the C++ code can do it: compiled, on the CPU, in float32 or float64 throughout."""
    ours = gates.device.type == "cpu" and gates.dtype == recurrent.dtype and gates.dtype in _NAMES
    return ours and library() is not None


def _call(direction: str, trace: Trace, *buffers: Tensor) -> None:
    """Call `direction` of the library on the memory of `buffers`, with the window's sizes and torch's threads."""
    assert all(buffer.is_contiguous() and buffer.dtype == trace.gates.dtype for buffer in buffers)
    function = getattr(library(), f"{direction}_{_NAMES[trace.gates.dtype]}")
    sizes = (*trace.squashed.shape, torch.get_num_threads())
    function(*(ctypes.c_void_p(buffer.data_ptr()) for buffer in buffers), *map(ctypes.c_int64, sizes))


def _digest() -> str:
    """A name for what the compiled bytes depend on: source, commands and, -march being native, the processor."""
    source, compiler = SOURCE.read_text(encoding="utf-8"), os.environ.get("CXX", "c++")
    parts = (source, compiler, *COMPILE, *LINK, torch.__version__, _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """The processor and its instruction sets, as far as the system tells."""
    known = (platform.machine(), platform.processor())
    try:
        lines = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    except OSError:
        lines = set()
    return " ".join([*known, *sorted(line for line in lines if line.startswith(("model name", "flags", "Features")))])


def _first_line(error: Exception) -> str:
    """What went wrong, in a line: the compiler's own words where it has spoken."""
    spoken = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = (spoken or str(error)).strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else repr(error))
