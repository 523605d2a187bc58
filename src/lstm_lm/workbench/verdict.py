"""Whether a result that was made anew is the committed one: the rules by which `make verify` judges.

On the same kind of machine (all of metrics/environment_*.json equal) results are promised byte for byte.
Elsewhere floating-point sums round differently, and training is chaotic: after some epochs two runs that
began a last bit apart go their own ways, as two seeds do. Their curves stay together (two orders of the same
data: 1% apart at the median epoch), their ends need not (held-out perplexity 54 and 76). So a curve is judged
by its median epoch (`CURVE`), where a training ends by `TRAINED`, all other numbers by `ROUNDING`; weights and
generated text hold no numbers to weigh and may then have other bytes.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatch
from statistics import median
from typing import NamedTuple

ROUNDING = 1e-3
"""Relative tolerance of numbers that no training decides."""
CURVE = 0.1
"""Relative tolerance of perplexity at the median epoch of a learning curve."""
TRAINED = 0.5
"""Relative tolerance of perplexity where a training ends: a factor of two, one bit per token."""

_TRAINED = ("metrics/train_*.json", "metrics/evaluate.json")
_MEASURED = (
    "metrics/throughput_*.json",
    "metrics/compare.json",
    "plots/timing_*.tsv",
    "plots/learning_curves.png",
    "plots/throughput.png",
)
ENVIRONMENT = "metrics/environment_*.json"
_WITHOUT_NUMBERS = ("data/models/*", "metrics/generated.json", "plots/generated.txt", "plots/*.png")


class Status(StrEnum):
    """What became of a committed result."""

    IDENTICAL = "identical"
    CLOSE = "within tolerance"
    MEASURED = "measured anew"
    OTHER_MACHINE = "other machine"
    DIFFERENT = "DIFFERENT"


class Verdict(NamedTuple):
    """A status and, where there is more to say, one line."""

    status: Status
    detail: str = ""


def compare(name: str, committed: bytes | None, anew: bytes | None, same_machine: bool) -> Verdict:
    """Judge one result by its path in the project and its two contents (None: no such file)."""
    if committed is None or anew is None:
        return Verdict(Status.DIFFERENT, "not committed" if committed is None else "not made anew")
    if committed == anew:
        return Verdict(Status.IDENTICAL)
    if _matches(name, _MEASURED):
        return Verdict(Status.MEASURED, "holds or shows times")
    if fnmatch(name, ENVIRONMENT):
        return Verdict(Status.OTHER_MACHINE, ", ".join(_changed_keys(committed, anew)))
    if _matches(name, _WITHOUT_NUMBERS):
        return Verdict(Status.DIFFERENT if same_machine else Status.OTHER_MACHINE, "other bytes")
    if name.startswith("data/"):
        return Verdict(Status.DIFFERENT, "other bytes")
    return _compare_numbers(name, committed, anew)


def _compare_numbers(name: str, committed: bytes, anew: bytes) -> Verdict:
    """Judge two files by the numbers in them, which must stand in the same places."""
    before, after = dict(_leaves(name, committed)), dict(_leaves(name, anew))
    if before.keys() != after.keys():
        return Verdict(Status.DIFFERENT, f"keys or rows: {', '.join(sorted(before.keys() ^ after.keys())[:3])}")
    differences = {}
    for key, value in before.items():
        other = after[key]
        if isinstance(value, float) and isinstance(other, float):
            differences[key] = _difference(key, value, other)
        elif value != other:
            return Verdict(Status.DIFFERENT, f"{key}: {value} committed, {other} anew")
    if not differences:
        return Verdict(Status.CLOSE, "the same values, written differently")
    if name.endswith(".tsv"):
        size, where, allowed = median(differences.values()), "the median epoch", CURVE
    else:
        where = max(differences, key=differences.__getitem__)
        size, allowed = differences[where], TRAINED if _matches(name, _TRAINED) else ROUNDING
    status = Status.CLOSE if size <= allowed else Status.DIFFERENT
    return Verdict(status, f"{size:.2%} at {where}, {allowed:.1%} allowed")


def _difference(key: str, value: float, other: float) -> float:
    """Relative difference; of bits per token, that of the perplexities whose logarithms they are."""
    if key.endswith("bits_per_token"):
        return 1 - 2 ** -abs(value - other)
    return abs(value - other) / max(abs(value), abs(other), 1e-300)


def _leaves(name: str, content: bytes) -> Iterator[tuple[str, float | str]]:
    """Every value of a JSON or TSV file under a readable key; as float only what rounding can change."""
    text = content.decode("utf-8")
    if name.endswith(".tsv"):
        header, *rows = [line.split("\t") for line in text.splitlines()]
        for row in rows:
            for column, cell in zip(header[1:], row[1:], strict=True):
                yield f"{header[0]} {row[0]} {column}", float(cell)
    else:
        yield from _json_leaves("", json.loads(text))


def _json_leaves(key: str, value: object) -> Iterator[tuple[str, float | str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _json_leaves(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _json_leaves(f"{key}[{index}]", inner)
    else:
        yield key, value if isinstance(value, float) else json.dumps(value)


def _changed_keys(committed: bytes, anew: bytes) -> list[str]:
    before, after = json.loads(committed), json.loads(anew)
    keys = sorted(before.keys() | after.keys())
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys if before.get(key) != after.get(key)]


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
