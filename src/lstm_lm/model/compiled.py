"""lstm_native.cpp as a shared library: compiled on demand for this machine, cached, never required."""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from lstm_lm.core.atomic import write_bytes
from lstm_lm.core.processor import processor

SOURCE = Path(__file__).with_name("lstm_native.cpp")
CACHE = SOURCE.parent / "__pycache__"
"""Where Python keeps what it compiled from this folder; nothing is written outside the project."""

# Nothing here may change a number: no fused products but those in the source, no reordered sums.
COMPILE = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
COMPILE += ("-fPIC", "-fopenmp", "-c")

# GCC's threads are those of the OpenMP library that libtorch_cpu brings along, so it links without -fopenmp: two such
# libraries would fight over the cores. Clang's code needs a library of its own.
LINK = ("-shared", "-Wl,--no-as-needed", f"-L{Path(torch.__file__).parent / 'lib'}", "-ltorch_cpu")
_CLANG_S_OPENMP = b"__kmpc_fork_call"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library, from the cache or compiled now; None, with a message, where that is not possible."""
    path = CACHE / f"lstm_native-{_key()}.so"
    try:
        if not _is_whole(path):
            content = build()
            write_bytes(path, content + hashlib.sha256(content).digest())
        loaded = ctypes.CDLL(str(path))
        loaded.compiler.restype = ctypes.c_char_p
        return loaded
    except (OSError, subprocess.SubprocessError, AttributeError, ValueError) as error:
        print(f"no loops in C++, computing with those in PyTorch: {_first_line(error)}", file=sys.stderr)
        return None


def compiler() -> str:
    """The compiler that made the library; "" where there is none."""
    loaded = library()
    return loaded.compiler().decode("utf-8", "replace") if loaded else ""


def build() -> bytes:
    """The library made from SOURCE for this processor, by CXX (else c++) with CXXFLAGS.

    Raises:
        OSError: there is no C++ compiler or no place for temporary files.
        subprocess.SubprocessError: it does not accept the source or the flags, or takes more than five minutes.
        ValueError: CXX or CXXFLAGS has an unclosed quotation mark.
    """
    compiler, flags = _command("CXX", "c++"), _command("CXXFLAGS", "")
    if not compiler or shutil.which(compiler[0]) is None:
        raise OSError(f"no C++ compiler {' '.join(compiler)!r}; install one or set CXX")
    with tempfile.TemporaryDirectory() as folder:
        compiled, linked = Path(folder, "lstm_native.o"), Path(folder, "lstm_native.so")
        _run([*compiler, *COMPILE, *flags, str(SOURCE), "-o", str(compiled)])
        link = [*compiler, str(compiled), "-o", str(linked), *LINK]
        if _CLANG_S_OPENMP not in compiled.read_bytes():
            _run(link)
        else:
            try:
                _run([*link, "-fopenmp"])
            except subprocess.CalledProcessError as error:
                raise OSError(
                    f"{compiler[0]} has no OpenMP library: install it (Debian: libomp-dev) or set CXX=g++"
                ) from error
        return linked.read_bytes()


def _run(command: list[str]) -> None:
    """Run the compiler, whatever language it speaks."""
    subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=300)


def _command(variable: str, default: str) -> list[str]:
    """The words of an environment variable."""
    return shlex.split(os.environ.get(variable, default))


def _is_whole(path: Path) -> bool:
    """Whether a cached library ends with the digest of all before it: a damaged one can end the process."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


def _key() -> str:
    """A name for what the compiled bytes depend on: source, commands and, -march being native, the processor."""
    source = SOURCE.read_text(encoding="utf-8")
    variables = (os.environ.get("CXX", ""), os.environ.get("CXXFLAGS", ""))
    machine = (platform.machine(), processor().name, *sorted(processor().instructions))
    parts = (source, *variables, *COMPILE, *LINK, torch.__version__, *machine)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _first_line(error: Exception) -> str:
    """What went wrong, in a line: the compiler's own words where it has spoken."""
    spoken = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = (spoken or str(error)).strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else repr(error))
