"""What `make bench-corpus` measured on the largest text, and how long much larger ones would take."""

from pathlib import Path
from typing import Any

from lstm_lm.comparison.metrics import read
from tools.docs.benchmark import Corpus
from tools.markdown import escape

STAGES = {
    "fetch": "fetch",
    "char, letters": "tokenize, characters, letters only",
    "char, none": "tokenize, characters, whole text",
    "word, letters": "tokenize, words, letters only",
    "word, none": "tokenize, words, whole text",
}
GOALS = {"100 GB, 8 machines": (100e3, 8), "1 TB, 64 machines": (1e6, 64)}
"""Megabytes, and machines such as the measured one that each tokenise a shard."""


def stages(root: Path) -> list[list[str]]:
    """A row for each stage: speed, seconds of computing for a gigabyte, memory."""
    largest = _largest(root)
    gigabytes = largest["megabytes"] / 1e3
    rows = [
        [
            _title(name),
            f"{run['mb_per_second']:.3g}",
            f"{run['cpu_seconds'] / gigabytes:.3g}",
            f"{run['peak_memory_mib']:,}",
        ]
        for name, run in largest["stages"].items()
    ]
    rows += [
        [f"train, {sampling} sampling", "", "", f"{run['peak_memory_mib']:,}"]
        for sampling, run in largest.get("training", {}).items()
    ]
    evaluated = largest.get("evaluate")
    return rows + ([["evaluate", "", "", f"{evaluated['peak_memory_mib']:,}"]] if evaluated else [])


def hours(root: Path) -> list[list[str]]:
    """A row for each tokenizer: hours for a text on one machine and on many."""
    return [
        [
            _title(name),
            *(_hours(megabytes / run["mb_per_second"], machines) for megabytes, machines in GOALS.values()),
        ]
        for name, run in _largest(root)["stages"].items()
    ]


def training(root: Path) -> list[str]:
    """A line for each order of the windows."""
    return [
        f"- {escape(sampling)} sampling: {run['large_over_small']:.2f} of the speed on the first tokens alone; the "
        f"first window of an epoch of {run['tokens']:,} tokens is known after {run['seconds_to_cut_an_epoch']:.2g} s"
        for sampling, run in _largest(root).get("training", {}).items()
    ]


def machine(root: Path) -> str:
    """What the figures were measured on, and on how large a text."""
    report, largest = read(root, "benchmark_corpus", Corpus), _largest(root)
    busy = f"{report['load_before']:.1f} other processes wanted to compute when the measurement began"
    return f"{largest['megabytes']:,.0f} MB of text; {escape(report['measured_on'])}; {busy}."


def _title(stage: str) -> str:
    return STAGES.get(stage, stage)


def _hours(seconds: float, machines: int) -> str:
    return f"{seconds / 3600:,.2g} h, {seconds / 3600 / machines:.2g} h"


def _largest(root: Path) -> dict[str, Any]:
    return max(read(root, "benchmark_corpus", Corpus)["sizes"], key=lambda size: size["megabytes"])
