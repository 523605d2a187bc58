"""Which machine code the libraries use: the same on every x86-64 processor, or this one's fastest.

torch, oneDNN (inside torch.nn.LSTM) and MKL (inside matrix products) choose their code by the processor when they first
compute, and different code rounds differently. Pinned to what every x86-64 processor with AVX2 and FMA can do, they
give the same bytes on all of them. The choice is made through environment variables, so it goes to every process that
this one starts; `MARK` tells those processes that the pins are ours, not the user's. The project's own C++ code gives
the same bytes everywhere without a pin.
"""

import os
import platform
import sys

from lstm_lm.core.printable import say

PINS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_BLAS=1",
}
"""Variables for torch, oneDNN and MKL on x86-64. MKL's products depend on the number of threads, so they get one: until
somebody calls `torch.set_num_threads`, which gives them as many."""

MARK = "LSTM_LM_PINNED"
"""The environment variable that lists those that this package has set, separated by commas."""


def pin() -> None:
    """Set the pins that the user has not set, on x86-64 only; call it before torch computes anything."""
    if not is_x86_64():
        return
    missing = {name for name in PINS if name not in os.environ}
    inherited = {name for name in _ours() if os.environ.get(name) == PINS.get(name)}
    os.environ.update({name: PINS[name] for name in missing})
    os.environ[MARK] = ",".join(sorted(missing | inherited))


def choose(numerics: str) -> None:
    """Keep the pins for "portable", remove them for "native"; call it before torch computes anything.

    A variable that the user has set stays as it is; where it breaks the promise of "portable", one line says so.
    """
    if numerics == "native":
        for name in _ours():
            os.environ.pop(name, None)
        return
    for name in unpinned():
        say(
            f"{name} is {os.environ.get(name, '')!r}, so the results of torch.nn.LSTM may differ from those of other "
            "processors; unset it for the same bytes",
            sys.stderr,
        )


def unpinned() -> list[str]:
    """The variables whose value is not the pin's; none on machines without pins."""
    return [name for name, value in PINS.items() if is_x86_64() and os.environ.get(name) != value]


def is_x86_64() -> bool:
    """Whether this machine's processor is x86-64."""
    return platform.machine() in ("x86_64", "AMD64")


def _ours() -> set[str]:
    return set(filter(None, os.environ.get(MARK, "").split(",")))
