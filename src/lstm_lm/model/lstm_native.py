"""The backend in C++, for the CPU. Without a compiler, on another device, in another type: that in PyTorch."""

import ctypes

import torch
from torch import Tensor

from lstm_lm.model import compiled, loss, lstm_fused
from lstm_lm.model.backend import Backend, Trace, new_trace

_NAMES = {torch.float32: "float", torch.float64: "double"}


def run(gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
    """The forward loop; `gates` holds A' and is overwritten."""
    if not _is_for_us(gates, recurrent):
        return lstm_fused.run(gates, recurrent, initial_hidden, initial_cell)
    trace = new_trace(gates, initial_hidden, initial_cell)
    buffers = (gates, recurrent.contiguous(), trace.hidden, trace.cells, trace.squashed)
    _call("forward", buffers, trace.squashed.shape)
    return trace


def run_back(trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The backward loop: dA_1 ... dA_T, dH_0 and dC_0."""
    if not _is_for_us(trace.gates, recurrent):
        return lstm_fused.run_back(trace, recurrent, d_outputs, d_cell)
    d_gates, d_cell = torch.empty_like(trace.gates), d_cell.clone(memory_format=torch.contiguous_format)
    d_hidden = torch.cat([torch.zeros_like(d_outputs[:1]), d_outputs])
    known = (trace.gates, recurrent.contiguous(), trace.cells, trace.squashed)
    _call("backward", (*known, d_gates, d_hidden, d_cell), trace.squashed.shape)
    return d_gates, d_hidden[0], d_cell


def product(left: Tensor, right: Tensor) -> Tensor:
    """Left (rows, depth) times right (depth, columns), either of them transposed or not: (rows, columns)."""
    if not _is_for_us(left, right):
        return left @ right
    total = left.new_empty(left.shape[0], right.shape[1])
    sizes = (*left.shape, right.shape[1], *left.stride(), *right.stride())
    _call("multiply", (left, right, total), sizes)
    return total


def cross_entropy(logits: Tensor, targets: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """See `loss.cross_entropy`; the logits are overwritten by their gradient."""
    if not _is_for_us(logits, logits):
        return loss.cross_entropy(logits, targets, tokens)
    gradient, (sums, margins) = logits.contiguous(), logits.new_empty(2, len(logits))
    _call("cross_entropy", (gradient, targets.contiguous(), sums, margins), (*logits.shape, tokens))
    return (sums.log() + margins).sum() / tokens, gradient


NATIVE = Backend(run, run_back, product, cross_entropy)


def loops(device: torch.device, precision: str) -> str:
    """What the loops of `NATIVE` run in: "C++" or "PyTorch"."""
    native = device.type == "cpu" and precision != "bf16" and compiled.library() is not None
    return "C++" if native else "PyTorch"


def _is_for_us(left: Tensor, right: Tensor) -> bool:
    """Whether the C++ code supports these tensors: it is compiled, and both are float32 or float64 on the CPU."""
    ours = left.device.type == "cpu" and left.dtype == right.dtype and left.dtype in _NAMES
    return ours and compiled.library() is not None


def _call(name: str, buffers: tuple[Tensor, ...], sizes: tuple[int, ...]) -> None:
    """Call a function of the library on the memory of `buffers`, with torch's number of threads."""
    function = getattr(compiled.library(), f"{name}_{_NAMES[buffers[0].dtype]}")
    pointers = (ctypes.c_void_p(buffer.data_ptr()) for buffer in buffers)
    function(*pointers, *map(ctypes.c_int64, (*sizes, torch.get_num_threads())))
