"""What `make gpu` measures, part by part; a part that fails or has no time left does not keep the others from it."""

import hashlib
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import yaml

from contestants import CONTESTANTS, FLASHRNN, PRODUCTS, Shape, TrainingStep, contestants, pipeline_step
from lstm_lm import device as devices
from lstm_lm.model.language_model import MODELS, build, save_model
from lstm_lm.params import Params
from lstm_lm.tokens import text
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.training.loop import Training
from measure import epoch, interleaved, quartiles

STEPS = 8
"""Training steps in a round."""

NO_TIME = "skipped: no time left"
PRECISIONS = ("fp32", "tf32", "bf16")
ROOT = Path(__file__).resolve().parents[1]
MEASURED = {"fused": ("scratch", "fused"), "nn.LSTM": ("concise", "fused")}
"""The pipeline's two models: kind and kernel."""


@dataclass(frozen=True)
class Plan:
    """What is measured on which device, and until when.

    Attributes:
        device: the device that computes.
        params: the parameters of the trainings.
        sizes: hidden units of the grid, the default ones first.
        batch_sizes: rows of a batch in the grid, the default ones first.
        words: the shapes of models over words, by name.
        recipes: the parameters of recipes that are trained for an epoch, by name.
        rounds: interleaved rounds of eight steps.
        deadline: the reading of `time.monotonic` after which nothing more begins.
    """

    device: torch.device
    params: Params
    sizes: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    words: Mapping[str, Shape]
    recipes: Mapping[str, dict[str, Any]]
    rounds: int
    deadline: float

    @property
    def shapes(self) -> list[Shape]:
        """The cells of the grid, the default shape first."""
        steps = self.params.train.num_steps
        return [Shape(hidden, batch_size, steps) for hidden, batch_size in product(self.sizes, self.batch_sizes)]

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


def tests(plan: Plan) -> str:
    """The tests marked gpu, in a process of their own; pytest's last line. Raises RuntimeError where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "--basetemp", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=plan.left)
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
    model = build(kind, len(vocabulary), params.model, params.seed).to(plan.device)
    epochs = Training(model, splits["train"], splits["valid"], params.train, params.seed).run()
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model.safetensors")
        digest = hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()
    return {
        "sha256": digest,
        "train_perplexity": epochs[-1].train_perplexity,
        "valid_perplexity": epochs[-1].valid_perplexity,
        "tokens_per_second": quartiles(np.array([epoch.tokens / epoch.seconds for epoch in epochs])),
        "seconds": round(epochs[-1].wall, 2),
    }


def _corpus(params: Params) -> tuple[text.Vocabulary, dict[str, np.ndarray]]:
    """Vocabulary and splits of the committed sample: the trainings need no network."""
    tokenizer = Tokenizer("char", "letters")
    tokens = tokenizer.tokens(tokenizer.normalize((ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8")))
    vocabulary, settings = text.Vocabulary.of(tokens), params.tokenize
    counts = (settings.train_tokens, settings.valid_tokens, settings.test_tokens)
    return vocabulary, text.split([vocabulary.encode(tokens)], counts)


def graph(plan: Plan) -> dict[str, Any]:
    """Tokens per second of the step captured in a CUDA graph and operation by operation, and their ratios."""
    steps = {
        f"{name}, {'eager' if eager else 'graph'}": pipeline_step(*model, plan.shapes[0], plan.device, eager=eager)
        for name, model in MEASURED.items()
        for eager in (True, False)
    }
    rates = speeds(steps, plan.shapes[0], plan)
    over = {name: np.median(rates[f"{name}, graph"]) / np.median(rates[f"{name}, eager"]) for name in MEASURED}
    return {
        "tokens_per_second": {name: quartiles(rate) for name, rate in rates.items()},
        "graph_over_eager": {name: round(float(ratio), 3) for name, ratio in over.items()},
    }


def precisions(plan: Plan) -> dict[str, Any]:
    """Tokens per second in each precision that the device has; what it says of those that it lacks."""
    try:
        return {name: _precision(name, plan) for name in PRECISIONS}
    finally:
        devices.configure(plan.device, "fp32", "portable")


def _precision(precision: str, plan: Plan) -> dict[str, Any] | str:
    try:
        devices.configure(plan.device, precision, "portable")
    except ValueError as error:
        return f"not on this device: {error}"
    steps = {name: pipeline_step(*model, plan.shapes[0], plan.device, precision) for name, model in MEASURED.items()}
    return {name: quartiles(rate) for name, rate in speeds(steps, plan.shapes[0], plan).items()}


def grid(plan: Plan) -> dict[str, Any]:
    """Every way of training in every shape, with its share of the speed of the matrix products alone."""
    return _cells([*contestants(plan.device), PRODUCTS], plan)


def flashrnn(plan: Plan) -> dict[str, Any] | str:
    """The LSTM of the package flashrnn in bfloat16 beside nn.LSTM in float32, forward and backward alone."""
    if importlib.util.find_spec("flashrnn") is None:
        return "not installed"
    return _cells([FLASHRNN, "nn.LSTM alone, no loop", PRODUCTS], plan)


def _cells(names: list[str], plan: Plan) -> dict[str, Any]:
    """A row for each contestant in each shape; why those shapes are missing that are."""
    rows, missing = [], {}
    for shape in plan.shapes:
        cell = attempt(partial(_cell, names, shape), plan)
        if isinstance(cell, str):
            missing[f"hidden {shape.hidden}, batch {shape.batch_size}"] = cell
        else:
            rows += cell
    return {"rows": rows, "missing": missing}


def _cell(names: list[str], shape: Shape, plan: Plan) -> list[dict[str, Any]]:
    rates = speeds({name: CONTESTANTS[name](shape, plan.device) for name in names}, shape, plan)
    floor = np.median(rates.pop(PRODUCTS))
    return [
        {
            "hidden": shape.hidden,
            "batch_size": shape.batch_size,
            "contestant": name,
            "tokens_per_second": quartiles(rate),
            "step_ms": quartiles(1e3 * shape.tokens / rate),
            "share_of_products": float(f"{np.median(rate) / floor:.3g}"),
        }
        for name, rate in rates.items()
    ]


def recipes(plan: Plan) -> dict[str, Any]:
    """The stages of recipes, one epoch each, on their own corpus: all that `dvc repro` runs, without DVC."""
    return {name: attempt(partial(_recipe, parameters), plan) for name, parameters in plan.recipes.items()}


def _recipe(parameters: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Perplexities and speed after the epoch. Raises RuntimeError where a stage fails."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(ROOT / "data/corpora", project / "data/corpora")
        text = yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
        (project / "params.yaml").write_text(text, encoding="utf-8")
        for stage in ("fetch", "tokenize_corpus", "train_scratch", "train_concise", "evaluate"):
            script = [sys.executable, str(ROOT / f"stages/{stage}.py")]
            done = subprocess.run(script, cwd=project, capture_output=True, text=True, check=False, timeout=plan.left)
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


def _read(project: Path, metrics: str) -> dict[str, Any]:
    return json.loads((project / f"metrics/{metrics}.json").read_bytes())


def words(plan: Plan) -> dict[str, Any]:
    """Tokens per second of Penn Treebank's two usual models, on random words: the speed does not depend on which."""
    return {name: attempt(partial(_words, shape), plan) for name, shape in plan.words.items()}


def _words(shape: Shape, plan: Plan) -> dict[str, Any]:
    steps = {name: pipeline_step(*model, shape, plan.device) for name, model in MEASURED.items()}
    return {name: quartiles(rate) for name, rate in speeds(steps, shape, plan).items()}


def speeds(steps: Mapping[str, TrainingStep], shape: Shape, plan: Plan) -> dict[str, np.ndarray]:
    """Tokens per second of each step in each round, interleaved, (rounds,) each."""
    clocks = {name: epoch(step, shape, plan.device, STEPS) for name, step in steps.items()}
    return {name: STEPS * shape.tokens / taken for name, taken in interleaved(clocks, plan.rounds).items()}


def attempt(part: Callable[[Plan], Any], plan: Plan) -> Any:
    """What `part` measures, or why it could not: the parts after it go on."""
    if plan.left <= 0:
        return NO_TIME
    try:
        return part(plan)
    except (TimeoutError, subprocess.TimeoutExpired):
        return NO_TIME
    except (RuntimeError, ValueError) as error:
        return f"failed: {str(error).splitlines()[0]}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so many seconds: a compiler may take longer than all that is left."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise TimeoutError("no time left")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


PARTS = {
    "tests": tests,
    "trainings": trainings,
    "graph": graph,
    "precisions": precisions,
    "recipes": recipes,
    "grid": grid,
    "words": words,
    "flashrnn": flashrnn,
}
"""What is measured, in this order: the most important first, what compiles for minutes last."""
