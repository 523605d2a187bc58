"""`make whole`: how long `dvc repro` takes beside the textbook's two trainings, with the parameters of params.yaml.

The textbook's loops train on the pipeline's own windows, with the processor's own fastest code, one half of the epochs
before and one half after the pipeline, which runs all of its stages anew in a copy of the current commit, once with
each fused kernel. Writes metrics/benchmark_whole.json. Needs data/tokens/, so run `dvc repro tokenize` first. Takes
less than half an hour.
"""

import random
import time
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks.contestants import Shape, TrainingStep, textbook_concise_loop, textbook_scratch_loop
from lstm_lm.core import device as devices
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params, load_params
from lstm_lm.tokens.batching import PARTITIONS, Window, load_tokens
from lstm_lm.tokens.vocabulary import Vocabulary
from tools.project import copied, dvc

LOOPS = {"scratch": textbook_scratch_loop, "concise": textbook_concise_loop}


def textbook_seconds(
    step: TrainingStep, params: Params, stream: np.ndarray, device: torch.device, epochs: int
) -> float:
    """Seconds of some epochs on the windows of `stream`, token ids (tokens,)."""
    generator, settings = random.Random(params.seed), params.train
    start = time.perf_counter()
    for _ in range(epochs):
        cut = PARTITIONS[settings.sampling]
        partition = cut(len(stream), settings.batch_size, settings.num_steps, generator)
        for number in range(partition.windows):
            window = partition.window(stream, number, settings.num_steps)
            step(Window(window.inputs.to(device), window.targets.to(device), window.continues))
    devices.synchronize(device)
    return time.perf_counter() - start


def repro_seconds(kernel: str, root: Path) -> float:
    """Seconds of `dvc repro` from nothing with `kernel`, in a copy.

    Raises:
        ValueError: a stage failed.
    """
    with copied(root, "whole") as project:
        path = project / "params.yaml"
        params = load_params(path).changed({"scratch.kernel": kernel})
        path.write_text(yaml.safe_dump(params.model_dump(), sort_keys=False), encoding="utf-8")
        start = time.perf_counter()
        if dvc(project, "repro", "--force") != 0:
            raise ValueError("the pipeline failed (see above)")
        return time.perf_counter() - start


def main(params: Params, root: Path) -> None:
    """Measure and write."""
    device = devices.choose(params.device)
    devices.configure(device, params.train.precision, "native")  # the textbook's loops at their fastest
    if (params.model.layers, params.model.embedding, params.model.dropout) != (1, None, 0):
        raise ValueError("the textbook's loop has no more than model.layers 1, model.embedding null, model.dropout 0")
    stream = load_tokens(root / "data/tokens/train.npy")
    vocabulary = Vocabulary.load(root / "data/tokens/vocabulary.json")
    shape = Shape(params.model.hidden, params.train.batch_size, params.train.num_steps, len(vocabulary))
    steps = {name: make(shape, device) for name, make in LOOPS.items()}

    def seconds_of(epochs: int) -> dict[str, float]:
        return {name: textbook_seconds(step, params, stream, device, epochs) for name, step in steps.items()}

    first = seconds_of(params.train.epochs // 2)
    repro = {kernel: repro_seconds(kernel, root) for kernel in ("fused", "fused_pytorch")}
    second = seconds_of(params.train.epochs - params.train.epochs // 2)
    textbook = {name: first[name] + second[name] for name in steps}
    write_json(
        root / "metrics/benchmark_whole.json",
        {
            "corpus": params.corpus.name,
            "measured_on": devices.measured_on(device),
            "numerics": {"textbook": "native", "repro": params.numerics},
            "textbook_training_seconds": {name: round(value, 1) for name, value in textbook.items()},
            "repro_seconds": {kernel: round(value, 1) for kernel, value in repro.items()},
        },
    )


if __name__ == "__main__":
    stage.run(main)
