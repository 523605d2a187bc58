"""A project with results at two revisions, some of them hostile, and the report on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lstm_lm.comparison.measures import shown_in
from lstm_lm.evaluation.unit import units
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import GIT, ROOT, params_text
from tools.report.difference import Change, Difference

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> | `*_[a](http://x.test)"
CORPUS = "The Time Traveller for so it will be convenient to speak of him was expounding.\n" * 3
PREFIX = "traveller"
HEBREW = "בראשית"
COUNTS = {f"{split}_tokens": 5000 for split in ("train", "valid", "test")}
TOKENIZE = {"corpus": "sample", "characters": 30000, "tokens": 29133, **COUNTS}
TOKENIZE |= {"unigram_entropy_bits": 4.02, "unigram_perplexity": 16.25}
PNG = (ROOT / "plots/generalisation.png").read_bytes()


def run(folder: Path, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` with this checkout's package and a git identity; `options` go to subprocess.run."""
    environment = os.environ | GIT | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300, **options
    )


def tool(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m tools.<name>` in `folder`."""
    return run(folder, sys.executable, "-m", f"tools.{name}", *arguments)


def git(folder: Path, *arguments: str) -> None:
    """Run git, which must succeed."""
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr


def commit(root: Path, message: str) -> None:
    """Commit all files."""
    git(root, "add", ".")
    git(root, "commit", "-qm", message)


def commit_files(root: Path, files: dict[str, str]) -> Path:
    """A new git repository with a DVC project of these files."""
    dvc = {".dvc/config": "[core]\n    analytics = false\n    check_update = false\n"}
    dvc[".dvc/.gitignore"] = "/config.local\n/tmp\n/cache\n"
    for name, content in (dvc | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    git(root, "init", "-q", "-b", "main")
    commit(root, "no results yet")
    return root


def make_project(root: Path) -> Path:
    """A folder with this project's pipeline and parameters for it, known to git, without results."""
    files = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("dvc.yaml", ".dvc/config", ".gitignore")}
    return commit_files(root, files | {"params.yaml": params_text(model__hidden=256, train__epochs=500)})


def write_results(
    root: Path, scale: float, epochs: int = 60, text: str = "for so it is", hidden: int = 256, seed: int = 0
) -> None:
    """Results as the stages write them: every perplexity is `scale` times what it would be with 1."""
    for folder in ("metrics", "plots", "data/raw", "data/tokens"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "data/raw/corpus.txt").write_text(CORPUS, encoding="utf-8")
    Vocabulary.of("the traveller", Tokenizer("char", "letters")).save(root / "data/tokens/vocabulary.json")
    evaluate: dict[str, Any] = {"corpus": "sample"}
    for model, perplexity in (("scratch", 4.0 * scale), ("concise", 3.0 * scale)):
        splits = {"train": perplexity, "valid": 3.125 * perplexity, "test": 3.5 * perplexity}
        evaluate[model] = {
            name: {"perplexity": value, "bits_per_token": value / 8, "bits_per_character": value / 8}
            for name, value in splits.items()
        }
        trained = {"perplexity": perplexity, "epochs": epochs, "parameters": 12345, "hidden": hidden, "seed": seed}
        _write(root, f"train_{model}", {"corpus": "sample", **trained})
        _write(root, f"environment_{model}", {"device": "cpu", "kernel": model, "platform": HOSTILE})
        write_curves(root, model, perplexity, speed=10000 * perplexity / scale, epochs=epochs)
    (root / "plots/generalisation.png").write_bytes(PNG)
    write_passages(root)
    _write(root, "evaluate", evaluate)
    _write(root, "tokenize", TOKENIZE)
    _write(root, "digests", {"scratch": "0" * 64, "concise": "1" * 64})
    for model in ("scratch", "concise"):
        measured = {name: measure.value(root, model) for name, measure in shown_in("experiments").items()}
        _write(root, model, {"corpus": "sample", **measured})
    texts = [
        {"model": model, "prefix": prefix, "mode": "greedy", "text": f" {HEBREW if prefix == HEBREW else text}"}
        for prefix in (PREFIX, HOSTILE, HEBREW)
        for model in ("scratch", "concise")
    ]
    _write(root, "generated", {"corpus": "sample", "texts": texts})


def write_curves(root: Path, model: str, perplexity: float, speed: float, epochs: int) -> None:
    """The tables of a training that ends near a train perplexity, and its throughput."""
    table = pd.DataFrame(index=pd.RangeIndex(1, epochs + 1, name="epoch"))
    table["train_perplexity"] = perplexity * (1 + 5 / table.index)
    table["valid_perplexity"] = table["train_perplexity"] * 2
    table["seconds"], table["tokens_per_second"] = table.index / 10, speed + table.index
    parts = {"curve": table[["train_perplexity"]], "held_out": table.loc[10::10, ["valid_perplexity"]]}
    for name, part in (parts | {"timing": table[["seconds", "tokens_per_second"]]}).items():
        part.to_csv(root / f"plots/{name}_{model}.tsv", sep="\t")
    quartiles = {"tokens_per_second_q1": 0.9 * speed, "tokens_per_second_q3": 1.1 * speed}
    measured = {"tokens_per_second": speed, **quartiles, "seconds": 12.5, "peak_memory_mib": 300}
    _write(root, f"throughput_{model}", {"device": "a CPU", "compiler": "GCC 12", **measured})


def write_passages(root: Path) -> None:
    """What the evaluate stage leaves about passages: markup, Hebrew, a mark and a line end, with units to follow."""
    text = [*HOSTILE[:30], *f" {HEBREW} e\u0301 x", "\n"] * 2
    models = ("scratch", "concise")
    expected = [{"bits": place % 14 + 0.25, "likeliest": {" ": 0.5, text[place]: 0.25}} for place in range(len(text))]
    rows = [{"text": text[place]} | dict.fromkeys(models, expected[place]) for place in range(len(text))]
    _write(root, "passages", {"corpus": "sample", "level": "char"} | dict.fromkeys(("train", "valid", "test"), rows))
    values = torch.linspace(-1, 1, 3 * len(text), dtype=torch.float64).view(len(text), 3)
    names = ("hidden state", "cell state", "input gate")
    series: dict[str, dict[str, Tensor]] = {split: dict.fromkeys(names, values) for split in ("train", "valid")}
    found = units(series, {"digit": [float(place % 3) for place in range(2 * len(text))]}, hidden=2)
    (root / "data/units.json").write_text(json.dumps(dict.fromkeys(models, found)), encoding="utf-8")
    for split in ("train", "valid"):
        table = "position\ttokens\tscratch\tconcise\n0\t9\t1.5\t2.5\n1\t9\t3.5\t4.5\n10\t1\t0.5\t0.25\n"
        (root / f"plots/surprisal_by_position_{split}.tsv").write_text(table, encoding="utf-8")


def difference_of(
    metrics: dict[str, dict[str, Change]] | None = None,
    params: dict[str, Change] | None = None,
    curves: dict[str, dict[str, Change]] | None = None,
) -> Difference:
    """A difference against HEAD with up-to-date results."""
    return Difference("HEAD", metrics or {}, params or {}, curves or {}, [])


def _write(root: Path, name: str, content: object) -> None:
    (root / f"metrics/{name}.json").write_text(json.dumps(content), encoding="utf-8")
