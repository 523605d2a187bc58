"""What `make bench-corpus` measured on the largest text, and how long much larger ones would take."""

from pathlib import Path
from typing import Any

from tools.docs.tables import benchmark
from tools.markdown import escape, table

STAGES = {
    "fetch": "fetch",
    "char, letters": "tokenize, characters, letters only",
    "char, none": "tokenize, characters, whole text",
    "word, letters": "tokenize, words, letters only",
    "word, none": "tokenize, words, whole text",
}
PICTURE = (
    "![Megabytes of text per second, and peak memory, of fetch and tokenize over the size of the text]"
    "(../plots/benchmark_corpus.png)"
)
GOALS = {"100 GB, 8 machines": (100e3, 8), "1 TB, 64 machines": (1e6, 64)}
"""Megabytes, and machines such as the measured one that each tokenise a shard."""


def stages(root: Path) -> str:
    """Speed and memory of each stage on the largest measured text."""
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
    if evaluated := largest.get("evaluate"):
        rows.append(["evaluate", "", "", f"{evaluated['peak_memory_mib']:,}"])
    header = ["", "MB/s", "seconds of computing, per GB", "peak memory, MiB"]
    return "\n\n".join([table(header, rows), PICTURE, _machine(root)])


def hours(root: Path) -> str:
    """Hours that each tokenizer would take for texts that nobody has measured, on one machine and on many.

    Each megabyte takes what it took between the two largest texts. So what does not grow with the text does not count.
    """
    *_, smaller, largest = benchmark(root, "corpus")["sizes"]
    growth, rows = largest["megabytes"] - smaller["megabytes"], []
    for name in largest["stages"]:
        before, after = (size["stages"][name]["seconds"] for size in (smaller, largest))
        pace = (after - before) / growth
        rows.append([_title(name), *(_hours(megabytes * pace, machines) for megabytes, machines in GOALS.values())])
    return table(["", *(f"{goal}: one, all" for goal in GOALS)], rows)


def training(root: Path) -> str:
    """The speed of training on a large text over that on a small one, for each order of the windows."""
    return "\n".join(
        f"- {escape(sampling)} sampling: {run['large_over_small']:.2f} of the speed on the first tokens alone; the "
        f"first window of an epoch of {run['tokens']:,} tokens is known after {run['seconds_to_cut_an_epoch']:.2g} s"
        for sampling, run in _largest(root).get("training", {}).items()
    )


def _machine(root: Path) -> str:
    """What the figures were measured on, and on how large a text."""
    report, largest = benchmark(root, "corpus"), _largest(root)
    busy = f"{report['load_before']:.1f} other processes wanted to compute when the measurement began"
    return f"{largest['megabytes']:,.0f} MB of text; {escape(report['measured_on'])}; {busy}."


def _title(stage: str) -> str:
    return STAGES.get(stage, stage)


def _hours(seconds: float, machines: int) -> str:
    return f"{seconds / 3600:,.2g} h, {seconds / 3600 / machines:.2g} h"


def _largest(root: Path) -> dict[str, Any]:
    return benchmark(root, "corpus")["sizes"][-1]


TABLES = {"stages": stages, "windows": training, "hours": hours}
