"""`make bench-corpus`: speed and memory of fetch, tokenize, training and evaluation, from 1 MB to 1 GB of text.

Makes a text whose words are as frequent as those of a language, runs the stages' own scripts on it, each in a process
of its own, and writes metrics/benchmark_corpus.json and plots/benchmark_corpus.png. Memory is the sum of the peaks of
the processes that a stage has at the same time, as Linux counts them, mapped files included. A training on a large text
takes hours, so training and evaluation are stopped after some seconds; the training's speed is that of windows from the
large and from a small stream in turns. The largest text takes a quarter of an hour and five times its size on the disk.
"""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks import ROOT, corpus_picture
from benchmarks.measure import CPU, interleaved, quartiles, timed
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.core.json_file import read_json
from lstm_lm.core.params import Params, Train, load_params
from lstm_lm.model.language_model import MODELS, build
from lstm_lm.model.model_file import save_model
from lstm_lm.tokens.batching import PARTITIONS, Partition, load_tokens
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training.step import Step, make_step

MEGABYTES = (1, 10, 100, 1000)
WORDS = 1_000_000
BEND = 7873
"""The language has WORDS words. The probability of rank r falls as 1/r down to the bend, as 1/r^1.77 beyond it, as
Gerlach and Altmann (2013, arXiv 1212.1362) found in English books."""
TOKENIZERS = [(level, kept) for level in ("char", "word") for kept in ("letters", "none")]
STOP_SECONDS = 20.0
SMALL_TOKENS = 10_000
ROUNDS = 30
WINDOWS = 10
"""In a round of the training's measurement."""


def blocks(megabytes: float) -> Iterator[bytes]:
    """A text of at least so many megabytes, always the same one, in blocks.

    The rarer a word is, the more letters it has. Every tenth word ends in a comma, every twelfth one ends its line.
    """
    generator = np.random.default_rng(0)
    ranks = np.arange(1, WORDS + 1)
    lengths = 1 + generator.poisson(np.log2(ranks + 1) * 0.4)
    letters = generator.choice(list("etaoinshrdlcumwfgypbvkjxqz"), lengths.sum(), p=_shares(1 / np.arange(5, 31)))
    ends = np.cumsum(lengths).tolist()
    spelled = "".join(letters)
    words = np.array([spelled[start:end] for start, end in zip([0, *ends], ends, strict=False)], object)
    cumulative = np.cumsum(_shares(np.where(ranks < BEND, 1 / ranks, BEND**0.77 / ranks**1.77)))
    written = 0
    while written < megabytes * 1e6:
        chosen = words[np.searchsorted(cumulative, generator.random(60_000)).clip(max=WORDS - 1)]
        chosen[::10] += ","
        chosen[11::12] += ".\n"
        block = " ".join(chosen.tolist()).replace("\n ", "\n").encode()
        written += len(block)
        yield block


def _shares(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


class Run(NamedTuple):
    """A stage's seconds, CPU seconds and peak memory (MiB), of all its processes."""

    seconds: float
    cpu_seconds: float
    peak_memory_mib: float


class Project:
    """A folder in which the stages run on one text."""

    def __init__(self, root: Path, megabytes: float) -> None:
        self.root = root
        (root / "data/corpora").mkdir(parents=True)
        digest = hashlib.sha256()
        with (root / "data/corpora/large.txt").open("wb") as file:
            for block in blocks(megabytes):
                digest.update(block)
                file.write(block)
            self.bytes = file.tell()
        record = {"licence": "none", "files": {"corpus": {"bytes": self.bytes, "sha256": digest.hexdigest()}}}
        (root / "data/corpora/large.yaml").write_text(yaml.safe_dump(record), encoding="utf-8")
        self.params = load_params(ROOT / "params.yaml")
        few = {f"tokenize.{split}_tokens": SMALL_TOKENS for split in ("valid", "test")}
        self.set({"corpus.name": "large", "tokenize.train_tokens": -1, **few})

    def set(self, changes: Mapping[str, object]) -> Params:
        """Change parameters, under DVC's names."""
        self.params = self.params.changed(changes)
        text = yaml.safe_dump(self.params.model_dump(), sort_keys=False)
        (self.root / "params.yaml").write_text(text, encoding="utf-8")
        return self.params

    def run(self, stage: str, stop: float | None = None) -> Run:
        """Run a stage's script, at most `stop` seconds.

        Raises:
            ValueError: it failed.
        """
        command = [sys.executable, str(ROOT / f"stages/{stage}.py")]
        start, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, cwd=self.root, stdout=subprocess.DEVNULL)
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            peak = max(peak, _peak(process.pid))
            if stop is not None and time.perf_counter() - start > stop:
                os.kill(process.pid, signal.SIGTERM)  # send_signal would take the exit status, and its memory with it
                stop = None  # a second signal would end it before it has saved
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):  # the last before it listens
            raise ValueError(f"{stage} failed (see above)")
        return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak / 2**10)


def _peak(pid: int) -> int:
    """The peak memory of a process plus those of its running children, in KiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return int(status.split("VmHWM:")[1].split()[0]) + sum(_peak(int(child)) for child in children)
    except (OSError, IndexError):  # it has just ended
        return 0


def tokenising(project: Project) -> dict[str, Any]:
    """Fetch and tokenize, by the name of what is measured."""
    runs = {"fetch": project.run("fetch")}
    for level, kept in TOKENIZERS:
        project.set({"tokenize.level": level, "tokenize.normalize": kept})
        runs[f"{level}, {kept}"] = project.run("tokenize_corpus")
    return {
        name: {
            "seconds": round(run.seconds, 3),
            "cpu_seconds": round(run.cpu_seconds, 3),
            "mb_per_second": float(f"{project.bytes / 1e6 / run.seconds:.3g}"),
            "peak_memory_mib": round(run.peak_memory_mib),
        }
        for name, run in runs.items()
    }


def training(project: Project, sampling: str, rounds: int) -> dict[str, Any]:
    """Tokens per second on the whole stream and on its first tokens, one after the other, and the stage's memory."""
    params = project.set({"train.sampling": sampling, "checkpoint.seconds": STOP_SECONDS / 2})
    devices.configure(CPU, "fp32", params.numerics)
    settings = params.train
    stream = load_tokens(project.root / "data/tokens/train.npy")
    vocabulary = Vocabulary.load(project.root / "data/tokens/vocabulary.json")
    clocks, cutting = {}, {}
    for name, tokens in (("small", stream[:SMALL_TOKENS]), ("large", stream)):
        start = time.perf_counter()
        cut = PARTITIONS[sampling](len(tokens), settings.batch_size, settings.num_steps, random.Random(0))
        cutting[name] = time.perf_counter() - start
        step = make_step(build("scratch", len(vocabulary), params), settings)
        clocks[name] = timed(partial(_train, step, tokens, cut, settings, itertools.count()), CPU)
    speeds = {
        name: WINDOWS * settings.batch_size * settings.num_steps / seconds
        for name, seconds in interleaved(clocks, rounds).items()
    }
    return {
        "tokens": len(stream),
        "tokens_per_second": {name: quartiles(speed) for name, speed in speeds.items()},
        "large_over_small": round(float(np.median(speeds["large"] / speeds["small"])), 3),
        "seconds_to_cut_an_epoch": float(f"{cutting['large']:.3g}"),
        "peak_memory_mib": round(project.run("train_scratch", STOP_SECONDS + cutting["large"]).peak_memory_mib),
    }


def _train(step: Step, stream: np.ndarray, cut: Partition, settings: Train, numbers: Iterator[int]) -> None:
    """Train on the next few windows."""
    for number in itertools.islice(numbers, WINDOWS):
        step(cut.window(stream, number % cut.windows, settings.num_steps), settings.lr)


def evaluation(project: Project) -> dict[str, Any]:
    """The memory of the evaluate stage."""
    vocabulary = Vocabulary.load(project.root / "data/tokens/vocabulary.json")
    for kind in MODELS:
        path = project.root / f"data/models/{kind}.safetensors"
        save_model(build(kind, len(vocabulary), project.params), path, vocabulary)
    return {"peak_memory_mib": round(project.run("evaluate", STOP_SECONDS).peak_memory_mib)}


def measure(megabytes: float, rounds: int | None) -> dict[str, Any]:
    """Everything about a text of one size; without rounds, no training and no evaluation."""
    with tempfile.TemporaryDirectory(prefix="lstm-lm-corpus-") as folder:
        project = Project(Path(folder), megabytes)
        report = {"megabytes": megabytes, "stages": tokenising(project)}
        report["words"] = read_json(project.root / "metrics/tokenize.json")["vocabulary_size"]
        if rounds is not None:
            project.set({"tokenize.level": "char", "tokenize.normalize": "letters"})
            project.run("tokenize_corpus")
            report["training"] = {sampling: training(project, sampling, rounds) for sampling in PARTITIONS}
            report["evaluate"] = evaluation(project)
        return report


def main() -> None:
    """Measure; write JSON and picture after each size."""
    load, sizes = round(os.getloadavg()[0], 2), []
    for megabytes in MEGABYTES:
        sizes.append(measure(megabytes, ROUNDS if megabytes == MEGABYTES[-1] else None))
        report = {"measured_on": devices.measured_on(CPU), "load_before": load, "sizes": sizes}
        write_json(ROOT / "metrics/benchmark_corpus.json", report)
        corpus_picture.draw(report, ROOT / "plots/benchmark_corpus.png")
        print(json.dumps(sizes[-1], indent=2), flush=True)


if __name__ == "__main__":
    main()
