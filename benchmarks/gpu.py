"""`make gpu`: what this project does on a CUDA GPU, in at most eight minutes, without DVC and without a network.

Runs the tests that need a GPU; trains both models of params.yaml to the end, twice, and compares their SHA-256;
measures the CUDA graph against single operations and the precisions; runs the stages of the recipes for Penn Treebank,
an epoch each, where their corpus can be had; measures all ways of training over hidden units and batch size. Writes
metrics/benchmark_gpu.json and plots/benchmark_gpu.png. `--device cpu --small` rehearses every part on a CPU in two
minutes; its numbers say nothing about a GPU.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import ROOT, gpu_runs, gpu_speeds, picture, ptb
from benchmarks.contestants import PARAMS, Shape
from benchmarks.gpu_plan import NO_TIME, Plan, attempt, time_limit
from benchmarks.measure import ratios
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import load_params
from tools.recipes.recipe import load_recipe, parameters

GRACE = 20
"""Seconds that a part has to end after the deadline."""

WORDS = {"ptb_small": ptb.SHAPE, "ptb_medium": replace(ptb.SHAPE, hidden=650, embedding=650, num_steps=35)}
"""Penn Treebank's two usual models."""

PARTS = {
    "tests": gpu_runs.tests,
    "trainings": gpu_runs.trainings,
    "graph": gpu_speeds.graph,
    "precisions": gpu_speeds.precisions,
    "recipes": gpu_runs.recipes,
    "grid": gpu_speeds.grid,
    "words": gpu_speeds.words,
    "flashrnn": gpu_speeds.flashrnn,
}
"""What is measured, in this order: the most important first, what compiles for minutes last."""

RATIOS = {
    "fused over nn.LSTM, both in the pipeline": ("fused in PyTorch, pipeline", "nn.LSTM, pipeline"),
    "fused over the textbook's scratch loop": ("fused in PyTorch, pipeline", "textbook loop, scratch"),
    "fused over book": ("fused in PyTorch, pipeline", "book, pipeline"),
    "nn.LSTM in the pipeline over the textbook's loop": ("nn.LSTM, pipeline", "textbook loop, nn.LSTM"),
}


def measure(plan: Plan, out: Path) -> dict[str, Any]:
    """Run all parts. Each is kept at once: a machine that is taken away leaves what it did."""
    report: dict[str, Any] = dict.fromkeys(PARTS, NO_TIME)
    report |= {
        "measured_on": devices.measured_on(plan.device),
        "environment": devices.environment(plan.device, "all", "fp32"),
        "corpus": "sample",
    }
    for name, part in PARTS.items():
        print(f"{name}, {plan.left:.0f} s left", flush=True)
        report[name] = attempt(part, plan)
        summarise(report, plan.shapes[0])
        write_json(out / "metrics/benchmark_gpu.json", report)
        draw(report, plan.shapes[0], out / "plots/benchmark_gpu.png")
    return report


def summarise(report: dict[str, Any], shape: Shape) -> None:
    """Add what the grid says of `shape`, and its ratios."""
    rows = report["grid"]["rows"] if isinstance(report["grid"], dict) else []
    here = [row for row in rows if (row["hidden"], row["batch_size"]) == (shape.hidden, shape.batch_size)]
    report["default_shape"] = {row["contestant"]: row for row in here}
    report["ratios"] = ratios(report["default_shape"], RATIOS)


def draw(report: dict[str, Any], shape: Shape, path: Path) -> None:
    """The picture of `shape` and of the pipeline's models in the grid, where they were measured."""
    if report["default_shape"]:
        pipeline = [row for row in report["grid"]["rows"] if row["contestant"].endswith("pipeline")]
        picture.draw({**report, "grid": pipeline}, path, shape)


def make_plan(device: str, small: bool, minutes: float) -> Plan:
    """The whole measurement on `device`, or one of tiny sizes. Raises ValueError where there is no such device."""
    chosen, params = devices.choose(device), load_params(PARAMS)
    devices.configure(chosen, "fp32", "portable")
    deadline = time.monotonic() + 60 * minutes
    if not small:
        trained = {name: _recipe(name, chosen) for name in WORDS}
        return Plan(chosen, params, (256, 512, 1024), (32, 256, 1024), WORDS, trained, 10, deadline)
    train = params.train.model_copy(update={"epochs": 2, "batch_size": 4, "num_steps": 5})
    model = params.model.model_copy(update={"hidden": 8})
    tiny = params.model_copy(update={"train": train, "model": model})
    tokens = {"train_tokens": 200, "valid_tokens": 40, "test_tokens": 40}
    words = _for_an_epoch(tiny.model_dump() | {"corpus": {"name": "sample"}}, chosen, {"level": "word"} | tokens)
    shapes = {"ptb_tiny": Shape(8, 4, 5, 50, 2, 8)}
    return Plan(chosen, tiny, (8, 16), (4, 2), shapes, {"ptb_tiny": words}, 2, deadline)


def _recipe(name: str, device: torch.device) -> dict[str, Any]:
    """The parameters of a recipe, for one epoch."""
    return _for_an_epoch(parameters(name, load_recipe(name, ROOT), ROOT), device, {})


def _for_an_epoch(params: dict[str, Any], device: torch.device, tokenize: dict[str, Any]) -> dict[str, Any]:
    changed = {"tokenize": params["tokenize"] | tokenize, "train": params["train"] | {"epochs": 1}}
    return params | changed | {"device": device.type}


def main() -> None:
    """Measure, write, draw; exit status 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="tiny sizes: a rehearsal")
    parser.add_argument("--minutes", type=float, default=7.5, help="nothing begins after so many minutes (7.5)")
    parser.add_argument(
        "--out", type=Path, help="where metrics/ and plots/ are written (here; of a rehearsal report/gpu)"
    )
    options = parser.parse_args()
    real = options.device == "cuda" and not options.small
    try:
        plan = make_plan(options.device, options.small, options.minutes)
        with time_limit(60 * options.minutes + GRACE):
            report = measure(plan, options.out or (ROOT if real else ROOT / "report/gpu"))
    except (ValueError, TimeoutError) as error:
        sys.exit(f"gpu: {error}")
    except Interrupted as interrupted:
        sys.exit(128 + interrupted.signum)
    print(json.dumps(report, indent=2))
    if '"failed: ' in json.dumps(report):
        sys.exit("gpu: a part failed")


if __name__ == "__main__":
    main()
