"""The parts of `make gpu` that measure the speed of single steps: graph, precisions, grid, words."""

import importlib.util
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.contestants import CONTESTANTS, FLASHRNN, PRODUCTS, Shape, TrainingStep, contestants, pipeline_step
from benchmarks.gpu_plan import Plan, attempt
from benchmarks.measure import epoch, interleaved, quartiles
from lstm_lm.core import device as devices

STEPS = 8
"""Training steps in a round."""

PRECISIONS = ("fp32", "tf32", "bf16")
MEASURED = {"fused": ("scratch", "fused"), "nn.LSTM": ("concise", "fused")}
"""The pipeline's two models: kind and kernel."""


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
