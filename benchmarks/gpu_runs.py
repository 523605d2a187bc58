"""The parts of `make gpu` that run something whole: the tests, the trainings, the stages of recipes."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import ROOT
from benchmarks.gpu_plan import Plan, attempt
from benchmarks.measure import quartiles
from lstm_lm.core.json_file import read_json
from lstm_lm.core.params import Params
from lstm_lm.model.language_model import MODELS, build, fix_threads
from lstm_lm.model.model_file import save_model
from lstm_lm.tokens import text
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training.loop import Training

_TESTS = ("tests/test_on_gpu.py", "-p", "no:cacheprovider")
"""One file, since most others need packages that a GPU machine may not have."""


def tests(plan: Plan) -> str:
    """The tests that need a GPU; pytest's last line. Raises RuntimeError where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = _python(["-m", "pytest", "-q", *_TESTS, "--basetemp", folder], ROOT, plan)
    last = (done.stdout.splitlines() or done.stderr.splitlines())[-1]
    if done.returncode:
        raise RuntimeError(last)
    return last


def trainings(plan: Plan) -> dict[str, Any]:
    """Both models trained to the end, twice. Raises RuntimeError where the two runs differ."""
    runs = {kind: [_trained(kind, plan) for _ in range(2)] for kind in MODELS}
    for kind, (first, second) in runs.items():
        if first["sha256"] != second["sha256"]:
            raise RuntimeError(f"two trainings of {kind} gave {first['sha256']} and {second['sha256']}")
    return {kind: second for kind, (_, second) in runs.items()}


def _trained(kind: str, plan: Plan) -> dict[str, Any]:
    """SHA-256 of the model's file, perplexities, tokens per second."""
    params, (vocabulary, splits) = plan.params, _corpus(plan.params)
    model = build(kind, len(vocabulary), params).to(plan.device)
    fix_threads(model.architecture)
    epochs = Training(model, splits["train"], splits["valid"], params.train, params.seed).run()
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model.safetensors", vocabulary)
        digest = hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()
    return {
        "sha256": digest,
        "train_perplexity": epochs[-1].train_perplexity,
        "valid_perplexity": epochs[-1].valid_perplexity,
        "tokens_per_second": quartiles(np.array([epoch.tokens / epoch.seconds for epoch in epochs])),
        "seconds": round(epochs[-1].wall, 2),
    }


def _corpus(params: Params) -> tuple[Vocabulary, dict[str, np.ndarray]]:
    """Vocabulary and splits of the committed sample: the trainings need no network."""
    tokenizer = Tokenizer("char", "letters")
    tokens = tokenizer.tokens(tokenizer.normalize((ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8")))
    vocabulary, settings = Vocabulary.of(tokens, tokenizer), params.tokenize
    counts = (settings.train_tokens, settings.valid_tokens, settings.test_tokens)
    ids, places = vocabulary.encode(tokens), text.split([range(len(tokens))], counts)
    return vocabulary, {name: ids[part.start : part.stop] for name, part in places.items()}


def recipes(plan: Plan) -> dict[str, Any]:
    """The stages of recipes, one epoch each, on their own corpus: all that `dvc repro` runs, without DVC."""
    return {name: attempt(partial(_recipe, parameters), plan) for name, parameters in plan.recipes.items()}


def _recipe(parameters: dict[str, Any], plan: Plan) -> dict[str, Any] | str:
    """Perplexities and speed after the epoch, or why there are none. Raises RuntimeError where a stage fails."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(ROOT / "data/corpora", project / "data/corpora")
        text = yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
        (project / "params.yaml").write_text(text, encoding="utf-8")
        for stage in ("fetch", "tokenize_corpus", "train_scratch", "train_concise", "evaluate"):
            done = _python([str(ROOT / f"stages/{stage}.py")], project, plan)
            if done.returncode and stage == "fetch":
                return f"not measured, as no source has the text of {parameters['corpus']['name']}"
            if done.returncode:
                raise RuntimeError((done.stderr.splitlines() or [f"{stage} failed"])[-1])
        scores = _read(project, "evaluate")
        return {
            kind: {
                "valid_perplexity": scores[kind]["valid"]["perplexity"],
                "tokens_per_second": _read(project, f"throughput_{kind}")["tokens_per_second"],
                "seconds": _read(project, f"throughput_{kind}")["seconds"],
            }
            for kind in MODELS
        }


def _python(arguments: list[str], folder: Path, plan: Plan) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder` with the modules that this process finds, relative folders of PYTHONPATH too.

    On the CPU it finds no GPU.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    if plan.device.type == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=plan.left,
    )


def _read(project: Path, metrics: str) -> dict[str, Any]:
    return read_json(project / f"metrics/{metrics}.json")
