"""A project with results at two revisions, some of them hostile, and the report on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from lstm_lm.evaluation.unit import units
from lstm_lm.tokens.text import Vocabulary
from tools.report.difference import Change, Difference

ROOT = Path(__file__).parents[1]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> | `*_[a](http://x.test)"
CORPUS = "The Time Traveller for so it will be convenient to speak of him was expounding.\n" * 3
PREFIX = "traveller"
HEBREW = "בראשית"
PNG = (ROOT / "plots/generalisation.png").read_bytes()


def run(folder: Path, *command: str, own_group: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` with this checkout's package and a git identity; `own_group`: of processes."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    environment = {
        **os.environ,
        **who,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        start_new_session=own_group,
    )


def module(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m tools.report.<name>` in `folder`."""
    return run(folder, sys.executable, "-m", f"tools.report.{name}".removesuffix(".report"), *arguments)


def git(folder: Path, *arguments: str) -> None:
    """Run git, which must succeed."""
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr


def make_project(root: Path) -> Path:
    """A folder with this project's pipeline and parameters, known to git, without results."""
    (root / ".dvc").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n", encoding="utf-8")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "no results yet")
    return root


def set_params(root: Path, **changes: Any) -> None:
    """Change values in params.yaml: model__hidden=64 stands for model.hidden."""
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *sections, name = key.split("__")
        block = params[sections[0]] if sections else params
        block[name] = value
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def write_results(
    root: Path, scale: float, epochs: int = 60, text: str = "for so it is", hidden: int = 256, seed: int = 0
) -> None:
    """Results as the stages write them: every perplexity is `scale` times what it would be with 1."""
    for folder in ("metrics", "plots", "data/raw", "data/tokens"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "data/raw/corpus.txt").write_text(CORPUS, encoding="utf-8")
    Vocabulary.of("the traveller").save(root / "data/tokens/vocabulary.json")
    evaluate: dict[str, Any] = {"corpus": "sample"}
    for model, base in (("scratch", 4.0), ("concise", 3.0)):
        splits = {"train": base * scale, "valid": 3.125 * base * scale, "test": 3.5 * base * scale}
        evaluate[model] = {
            name: {"perplexity": value, "bits_per_character": value / 8} for name, value in splits.items()
        }
        trained = {"corpus": "sample", "perplexity": splits["train"], "epochs": epochs, "parameters": 12345}
        trained |= {"hidden": hidden, "seed": seed}
        speed = {"corpus": "sample", "device": "a CPU", "tokens_per_second": 10000 * base, "seconds": 12.5}
        speed |= {"tokens_per_second_q1": 9000 * base, "tokens_per_second_q3": 11000 * base, "peak_memory_mib": 300}
        _write(root, f"train_{model}", trained)
        _write(root, f"throughput_{model}", speed)
        _write(root, f"environment_{model}", {"python": "3.11.7", "kernel": model, "platform": HOSTILE})
        curve, held_out = ["epoch\ttrain_perplexity"], ["epoch\tvalid_perplexity"]
        timing = ["epoch\tseconds\ttokens_per_second"]
        for epoch in range(1, epochs + 1):
            perplexity = splits["train"] * (1 + 5 / epoch)
            curve.append(f"{epoch}\t{perplexity}")
            held_out += [f"{epoch}\t{perplexity * 2}"] if epoch % 10 == 0 else []
            timing.append(f"{epoch}\t{epoch / 10}\t{10000 * base + epoch}")
        for name, lines in (("curve", curve), ("held_out", held_out), ("timing", timing)):
            (root / f"plots/{name}_{model}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "plots/generalisation.png").write_bytes(PNG)
    write_passages(root)
    _write(root, "evaluate", evaluate)
    _write(root, "tokenize", {"corpus": "sample", "tokens": 29133, "unigram_perplexity": 16.25})
    _write(root, "compare", {"corpus": "sample", "unigram_perplexity": 16.25})
    texts = [
        {"model": model, "prefix": prefix, "mode": "greedy", "text": f" {HEBREW if prefix == HEBREW else text}"}
        for prefix in (PREFIX, HOSTILE, HEBREW)
        for model in ("scratch", "concise")
    ]
    _write(root, "generated", {"corpus": "sample", "texts": texts})


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


def found(
    metrics: dict[str, dict[str, Change]] | None = None,
    params: dict[str, Change] | None = None,
    curves: dict[str, dict[str, Change]] | None = None,
) -> Difference:
    """A difference against HEAD with up-to-date results."""
    return Difference("HEAD", metrics or {}, params or {}, curves or {}, [])


def _write(root: Path, name: str, content: object) -> None:
    (root / f"metrics/{name}.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `make report`: better than its base, with another model.hidden and more epochs."""
    root = tmp_path_factory.getbasetemp() / "reported"
    if not root.exists():
        make_project(root)
        write_results(root, scale=1.25, epochs=50)
        git(root, "add", ".")
        git(root, "commit", "-qm", HOSTILE)
        write_results(root, scale=1.0, text=f"for so it {HOSTILE}", hidden=64)
        set_params(root, model__hidden=64, evaluate__prefixes=[PREFIX, HOSTILE])
        done = module(root, "report", "HEAD")
        assert done.returncode == 0, done.stderr
    return root
