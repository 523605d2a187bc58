"""The backend in C++, for the CPU. Without a compiler, on another device, in another type: the one in PyTorch.

C++ reads and writes wherever it is told. So `_checked` sees each tensor before, and the C++ code checks ids itself.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from lstm_lm.core import threads
from lstm_lm.model import compiled
from lstm_lm.model.backend import Trace, new_trace
from lstm_lm.model.pytorch_backend import PYTORCH

_NAMES = {torch.float32: "float", torch.float64: "double"}
_NO_MEMORY = -1
_threads: ContextVar[int | None] = ContextVar("threads", default=None)
"""How many threads compute; None: as many as torch has."""


class Native:
    """See `Backend`. Raises ValueError if an id is not in its table or vocabulary."""

    def run(self, gates: Tensor, recurrent: Tensor, initial_hidden: Tensor, initial_cell: Tensor) -> Trace:
        """See `Backend.run`."""
        if not supports(gates, recurrent):
            return PYTORCH.run(gates, recurrent, initial_hidden, initial_cell)
        trace, dtype = new_trace(gates, initial_hidden, initial_cell), gates.dtype
        steps, rows, hidden = trace.squashed.shape
        _call(
            "forward",
            dtype,
            _checked(gates, dtype, steps, rows, 4 * hidden),
            _checked(recurrent.contiguous(), dtype, hidden, 4 * hidden),
            _checked(trace.hidden, dtype, steps + 1, rows, hidden),
            _checked(trace.cells, dtype, steps + 1, rows, hidden),
            _checked(trace.squashed, dtype, steps, rows, hidden),
            *(steps, rows, hidden),
        )
        return trace

    def run_back(
        self, trace: Trace, recurrent: Tensor, d_outputs: Tensor, d_cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Backend.run_back`."""
        if not supports(trace.gates, recurrent):
            return PYTORCH.run_back(trace, recurrent, d_outputs, d_cell)
        (steps, rows, hidden), dtype = trace.squashed.shape, trace.gates.dtype
        d_gates, d_recurrent = torch.empty_like(trace.gates), d_cell.new_empty(hidden, 4 * hidden)
        d_hidden = d_cell.new_zeros(rows, hidden)
        d_cell = d_cell.clone(memory_format=torch.contiguous_format)
        _call(
            "backward",
            dtype,
            _checked(trace.gates, dtype, steps, rows, 4 * hidden),
            _checked(recurrent.contiguous(), dtype, hidden, 4 * hidden),
            _checked(trace.hidden, dtype, steps + 1, rows, hidden),
            _checked(trace.cells, dtype, steps + 1, rows, hidden),
            _checked(trace.squashed, dtype, steps, rows, hidden),
            _checked(d_outputs.contiguous(), dtype, steps, rows, hidden),
            _checked(d_gates, dtype, steps, rows, 4 * hidden),
            _checked(d_recurrent, dtype, hidden, 4 * hidden),
            _checked(d_hidden, dtype, rows, hidden),
            _checked(d_cell, dtype, rows, hidden),
            *(steps, rows, hidden),
        )
        return d_gates, d_recurrent, d_hidden, d_cell

    def product(self, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        """See `Backend.product`."""
        if not supports(left, right):
            return PYTORCH.product(left, right, bias)
        (rows, depth), columns, dtype = left.shape, right.shape[1], left.dtype
        total = left.new_empty(rows, columns)
        _call(
            "multiply",
            dtype,
            _checked(left, dtype, rows, depth, strided=True),
            _checked(right, dtype, depth, columns, strided=True),
            None if bias is None else _checked(bias, dtype, columns),
            _checked(total, dtype, rows, columns),
            *(rows, depth, columns, *left.stride(), *right.stride()),
        )
        return total

    def look_up(self, table: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        """See `Backend.look_up`."""
        if not supports(table, bias):
            return PYTORCH.look_up(table, bias, ids)
        (types, columns), count, dtype = table.shape, len(ids), table.dtype
        rows = table.new_empty(count, columns)
        _call(
            "look_up",
            dtype,
            _checked(table.contiguous(), dtype, types, columns),
            _checked(bias, dtype, columns),
            _checked(ids, torch.int64, count),
            _checked(rows, dtype, count, columns),
            *(count, types, columns),
        )
        return rows

    def look_up_back(self, d_rows: Tensor, ids: Tensor, types: int) -> tuple[Tensor, Tensor]:
        """See `Backend.look_up_back`."""
        if not supports(d_rows):
            return PYTORCH.look_up_back(d_rows, ids, types)
        (count, columns), dtype = d_rows.shape, d_rows.dtype
        d_table, d_bias = d_rows.new_zeros(types, columns), d_rows.new_zeros(columns)
        _call(
            "add_rows",
            dtype,
            _checked(d_rows.contiguous(), dtype, count, columns),
            _checked(ids, torch.int64, count),
            _checked(d_table, dtype, types, columns),
            _checked(d_bias, dtype, columns),
            *(count, types, columns),
        )
        return d_table, d_bias

    def sum_rows(self, rows: Tensor) -> Tensor:
        """See `Backend.sum_rows`."""
        if not supports(rows):
            return PYTORCH.sum_rows(rows)
        (count, columns), dtype = rows.shape, rows.dtype
        total = rows.new_zeros(columns)
        arrays = (_checked(rows.contiguous(), dtype, count, columns), None, None, _checked(total, dtype, columns))
        _call("add_rows", dtype, *arrays, *(count, 1, columns))
        return total

    def loss(
        self, rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, tokens: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Backend.loss`."""
        if not supports(rows, weight, bias):
            return PYTORCH.loss(rows, weight, bias, targets, tokens)
        (count, depth), columns, dtype = rows.shape, len(bias), rows.dtype
        nats, logits = rows.new_empty(count + 1, dtype=torch.float64), rows.new_empty(count, columns)
        d_rows, d_weight, d_bias = rows.new_empty(count, depth), torch.empty_like(weight), torch.empty_like(bias)
        _call(
            "loss",
            dtype,
            _checked(rows.contiguous(), dtype, count, depth),
            _checked(weight, dtype, depth, columns, strided=True),
            _checked(bias, dtype, columns),
            _checked(targets.contiguous(), torch.int64, count),
            *(nats, logits, d_rows, d_weight, d_bias),
            *(count, depth, columns, *weight.stride(), tokens),
        )
        return (nats[-1] / tokens).to(dtype), d_rows, d_weight, d_bias

    def surprisal(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `Backend.surprisal`."""
        if not supports(logits):
            return PYTORCH.surprisal(logits, targets)
        (rows, columns), dtype = logits.shape, logits.dtype
        logits, nats = logits.contiguous(), logits.new_empty(rows + 1, dtype=torch.float64)
        targets = _checked(targets.contiguous(), torch.int64, rows)
        _call("surprisal", dtype, _checked(logits, dtype, rows, columns), targets, nats, rows, columns)
        return nats[:-1]


NATIVE = Native()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within it, torch has one thread, and the C++ code as many as torch had.

    OpenMP's others would wait awake for torch's next operation, for milliseconds, on the cores that the C++ code needs.
    """
    token = _threads.set(_threads.get() or torch.get_num_threads())
    try:
        with threads.limited(1):
            yield
    finally:
        _threads.reset(token)


def computes(device: torch.device) -> bool:
    """Whether the C++ code has a part in a training on `device`: at least the optimiser's updates."""
    return device.type == "cpu" and compiled.library() is not None


def supports(*tensors: Tensor) -> bool:
    """Whether the C++ code can compute with these tensors: float32 or float64, all alike, on the CPU."""
    dtype = tensors[0].dtype
    ours = dtype in _NAMES and all(tensor.is_cpu and tensor.dtype == dtype for tensor in tensors)
    return ours and compiled.library() is not None


def sgd(weights: Sequence[Tensor], gradients: Sequence[Tensor], bound: float, lr: float) -> float:
    """Clip the gradients by their global norm, then w <- w - lr g; the norm. All tensors are float32 or float64."""
    return _update("sgd", (weights, gradients), bound, lr)


def adam(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    bound: float,
    constants: tuple[float, float, float, float, float],
) -> float:
    """Clip the gradients by their global norm, then one step of Adam; the norm.

    `constants` are beta_1, beta_2, epsilon and, at step t, lr / (1 - beta_1^t) and sqrt(1 - beta_2^t).
    """
    return _update("adam", (weights, gradients, means, squares), bound, *constants)


def _update(name: str, tensors: Sequence[Sequence[Tensor]], *numbers: float) -> float:
    """Call an optimiser on several lists of tensors, alike in their shapes; the gradients' norm."""
    weights = tensors[0]
    dtype, count, norm = weights[0].dtype, len(weights), ctypes.c_double()
    pointers = [
        (ctypes.c_void_p * count)(
            *(_checked(t, dtype, *w.shape).data_ptr() for t, w in zip(alike, weights, strict=True))
        )
        for alike in tensors
    ]
    sizes = (ctypes.c_int64 * count)(*(weight.numel() for weight in weights))
    _call(name, dtype, *pointers, sizes, ctypes.byref(norm), count, *numbers)
    return norm.value


def _checked(tensor: Tensor, dtype: torch.dtype, *shape: int, strided: bool = False) -> Tensor:
    """The tensor. Raises ValueError unless its type, shape and place are what C++ expects."""
    fits = tensor.dtype == dtype and tensor.shape == shape and tensor.is_cpu
    if not fits or not (strided or tensor.is_contiguous()):
        raise ValueError(f"a tensor is {tensor.dtype} {tuple(tensor.shape)}; expected {dtype} {shape}, contiguous")
    return tensor


_SIGNATURES = {
    "forward": "ppppp iii",
    "backward": "pppppppppp iii",
    "multiply": "pppp iiiiiii",
    "look_up": "pppp iii",
    "add_rows": "pppp iii",
    "loss": "ppppppppp iiiiii",
    "surprisal": "ppp ii",
    "sgd": "pppp i dd",
    "adam": "pppppp i dddddd",
}
"""Arguments of the library's functions: pointer, whole number of 64 bits, double. The number of threads follows."""

_KINDS = {"p": ctypes.c_void_p, "i": ctypes.c_int64, "d": ctypes.c_double}


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., int]:
    """A function of the library, which must be there, for numbers of a type."""
    function = getattr(compiled.library(), f"{name}_{_NAMES[dtype]}")
    function.argtypes = [_KINDS[kind] for kind in f"{_SIGNATURES[name]}i".replace(" ", "")]
    function.restype = ctypes.c_int64
    return function


def _call(name: str, dtype: torch.dtype, *arguments: object) -> None:
    """Call a function of the library with the addresses of tensors, and with the number of threads."""
    raw = (argument.data_ptr() if isinstance(argument, Tensor) else argument for argument in arguments)
    status = _function(name, dtype)(*raw, _threads.get() or torch.get_num_threads())
    if status == _NO_MEMORY:
        raise MemoryError(f"not enough memory to compute {name}")
    if status:
        raise ValueError(f"the token id at place {status} is not in the vocabulary: run the tokenize stage again")
