"""This machine's processor, as the system describes it."""

import contextlib
import functools
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

CPUINFO = Path("/proc/cpuinfo")

_GENERATION = {"cpu family": "family", "model": "model", "CPU implementer": "implementer", "CPU part": "part"}
"""Fields of /proc/cpuinfo, of x86-64 and of ARM, that tell two generations of one name apart."""


class Processor(NamedTuple):
    """`name` tells generations apart; `instructions` are those that Linux lists, empty where it does not tell."""

    name: str
    instructions: frozenset[str]


@functools.cache
def processor() -> Processor:
    """The first processor of this machine; all are taken to be alike."""
    fields = _cpuinfo()
    name = fields.get("model name") or _from_macos() or platform.processor() or platform.machine()
    generation = ", ".join(f"{word} {fields[key]}" for key, word in _GENERATION.items() if key in fields)
    instructions = fields.get("flags") or fields.get("Features") or ""
    return Processor(f"{name} ({generation})" if generation else name, frozenset(instructions.split()))


def _cpuinfo() -> dict[str, str]:
    """The first processor's fields in /proc/cpuinfo; none where there is no such file."""
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
