"""The name and the instruction sets of this machine's processor."""

import contextlib
import functools
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

CPUINFO = Path("/proc/cpuinfo")

_GENERATION = {"cpu family": "family", "model": "model", "CPU implementer": "implementer", "CPU part": "part"}
"""Fields of /proc/cpuinfo that tell generations of the same name apart, on x86-64 and ARM."""


class Processor(NamedTuple):
    """`name` includes the generation; `instructions` are those that Linux lists, empty on other systems."""

    name: str
    instructions: frozenset[str]


@functools.cache
def processor() -> Processor:
    """The first processor of this machine, which stands for all."""
    fields = _cpuinfo()
    name = fields.get("model name") or _from_macos() or platform.processor() or platform.machine()
    generation = ", ".join(f"{word} {fields[key]}" for key, word in _GENERATION.items() if key in fields)
    instructions = fields.get("flags") or fields.get("Features") or ""
    return Processor(f"{name} ({generation})" if generation else name, frozenset(instructions.split()))


def _cpuinfo() -> dict[str, str]:
    """The first processor's fields in /proc/cpuinfo; empty without that file."""
    with contextlib.suppress(OSError):
        first = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
        pairs = (line.partition(":") for line in first.splitlines())
        return {key.strip(): value.strip() for key, _, value in pairs}
    return {}


def _from_macos() -> str:
    """The name that macOS gives; "" on other systems."""
    if platform.system() != "Darwin":
        return ""
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""
