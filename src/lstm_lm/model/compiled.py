"""The C++ code in native/ as a shared library: compiled on demand for this machine, cached, checked, never required."""

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

from lstm_lm.core.atomic import write_bytes
from lstm_lm.core.printable import say
from lstm_lm.core.processor import processor

SOURCES = Path(__file__).with_name("native")
CACHE = SOURCES.parent / "__pycache__"
"""Where Python keeps what it compiled from this folder; nothing is written outside the project."""

FLAGS = ("-std=c++17", "-O3", "-fno-fast-math", "-fno-unsafe-math-optimizations", "-ffp-contract=off")
FLAGS += ("-fno-math-errno", "-fno-trapping-math", "-pthread", "-fPIC", "-shared")
"""They follow the user's CXXFLAGS, so that none of those reorders a sum, fuses a product with it or costs the speed.

GCC before 13 also let unsafe optimisations take numbers near zero for zero in the whole process. -fno-math-errno
and -fno-trapping-math change no number. They must come last: -fno-fast-math takes them back, so that GCC calls a
function for each square root and clang before 19 makes no vectors.
"""

FASTER = (("-march=native", "-fopenmp-simd"), ("-mcpu=native", "-fopenmp-simd"), ("-fopenmp-simd",), ())
"""Flags for speed: the first of these that the compiler knows."""

DIGEST = 0x67DC9047E8861870
"""What the library's `digest` returns on every machine."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library, from the cache, or compiled and put there now; None, with a message, if neither is possible."""
    try:
        path = CACHE / f"native-{_key()}.so"
        if not _is_whole(path):
            content = build()
            write_bytes(path, content + hashlib.sha256(content).digest())
        loaded = ctypes.CDLL(str(path))
        loaded.compiler.restype, loaded.digest.restype = ctypes.c_char_p, ctypes.c_uint64
        if (digest := loaded.digest(ctypes.c_int64(2))) != DIGEST:
            raise OSError(f"this compiler's code computes other numbers (digest {digest:016x}, not {DIGEST:016x})")
        return loaded
    except (OSError, subprocess.SubprocessError, AttributeError, ValueError) as error:
        say(f"no loops in C++, computing with those in PyTorch: {_first_line(error)}", sys.stderr)
        return None


def compiler() -> str:
    """The compiler that made the library; "" where there is none."""
    loaded = library()
    return loaded.compiler().decode("utf-8", "replace") if loaded else ""


def build() -> bytes:
    """The library made from SOURCES for this processor, by CXX (else c++) with CXXFLAGS.

    Raises:
        OSError: there is no C++ compiler or no place for temporary files.
        subprocess.SubprocessError: it does not accept the source or the flags, or takes more than five minutes.
        ValueError: CXX or CXXFLAGS has an unclosed quotation mark.
    """
    compiler, flags = _command("CXX", "c++"), _command("CXXFLAGS", "")
    if not compiler or shutil.which(compiler[0]) is None:
        raise OSError(f"no C++ compiler {' '.join(compiler)!r}; install one or set CXX")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "native.so")
        for faster in FASTER:
            try:
                _run([*compiler, *flags, *FLAGS, *faster, str(SOURCES / "library.cpp"), "-o", str(made)])
                break
            except subprocess.CalledProcessError:
                if not faster:
                    raise
        return made.read_bytes()


def _run(command: list[str]) -> None:
    """Run the compiler. Its messages may be in any encoding."""
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
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("[!.]*.[ch]*"))]
    variables = (os.environ.get("CXX", ""), os.environ.get("CXXFLAGS", ""))
    machine = (platform.machine(), processor().name, *sorted(processor().instructions))
    parts = (*sources, *variables, *FLAGS, str(FASTER), *machine)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _first_line(error: Exception) -> str:
    """The error in a line: the compiler's own message if there is one."""
    spoken = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = (spoken or str(error)).strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else repr(error))
