"""Which machine code the libraries compute with: the same on every processor, or this one's own fastest.

torch, oneDNN (inside torch.nn.LSTM), MKL (inside matrix products) and numpy choose their code by the processor when
they first compute, and different code rounds differently. Pinned to what every x86-64 processor with AVX2 and FMA can
do, they give the same bytes on all of them. The choice is made through environment variables, so it goes to every
process that this one starts; `MARK` tells those processes that the pins are ours, not the user's.
"""

import os
import sys

from lstm_lm.core.processor import processor

PINS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_BLAS=1",
}
"""What torch, oneDNN and MKL are told. MKL's products depend on the number of threads, so they get one."""

MARK = "LSTM_LM_PINNED"
"""Names the variables that this package has set, separated by commas."""

_NUMPY = ("NPY_DISABLE_CPU_FEATURES", "X86_V4")
"""numpy complains where it is told to do without what the processor does not have."""


def pin() -> None:
    """Pin what the user has not set; to be called before torch or numpy compute anything."""
    wanted = PINS | ({_NUMPY[0]: _NUMPY[1]} if "avx512f" in processor().instructions else {})
    missing = {name for name in wanted if name not in os.environ}
    inherited = {name for name in _ours() if os.environ.get(name) == wanted.get(name)}
    os.environ.update({name: wanted[name] for name in missing})
    os.environ[MARK] = ",".join(sorted(missing | inherited))


def choose(numerics: str) -> None:
    """Keep the pins for "portable", take them away for "native"; before torch has computed anything.

    A variable that the user has set stays as it is; where it breaks the promise of "portable", one line says so.
    """
    if numerics == "native":
        for name in _ours() - {_NUMPY[0]}:  # numpy has made its choice, and computes no training
            os.environ.pop(name, None)
        return
    for name, value in PINS.items():
        found = os.environ.get(name, "")
        if found.upper() != value.upper():
            print(
                f"{name} is {found!r}, so the results may differ from those of other processors; "
                f"unset it for the same bytes everywhere",
                file=sys.stderr,
            )


def is_portable() -> bool:
    """Whether all pins are in place, on a processor that has the instructions they ask for."""
    pinned = all(os.environ.get(name, "").upper() == value.upper() for name, value in PINS.items())
    return pinned and {"avx2", "fma"} <= processor().instructions


def _ours() -> set[str]:
    return set(filter(None, os.environ.get(MARK, "").split(",")))
