"""`make curves`: whether the fused kernel learns what the book's loop learns, from one seed, on the pipeline's data.

Trains both kernels with the parameters of params.yaml and writes metrics/benchmark_curves.json: the largest
relative difference of their per-epoch perplexities over the first epochs, where rounding alone sets them apart,
and what each reaches at the end. Needs data/tokens/, so run `dvc repro tokenize` first.
"""

from pathlib import Path

import numpy as np
import torch

from lstm_lm import device as devices
from lstm_lm import stage
from lstm_lm.atomic import write_json
from lstm_lm.batching import load_tokens
from lstm_lm.language_model import build
from lstm_lm.params import Params
from lstm_lm.text import Vocabulary
from lstm_lm.training import History, Training

FIRST_EPOCHS = 20


def train(kernel: str, params: Params, root: Path, device: torch.device) -> History:
    """Train the scratch model with `kernel`, as the pipeline does, without a checkpoint."""
    vocabulary = Vocabulary.load(root / "data/tokens/vocabulary.json")
    settings = params.model.model_copy(update={"scratch_kernel": kernel})
    model = build("scratch", len(vocabulary), settings, params.seed).to(device)
    streams = [load_tokens(root / f"data/tokens/{name}.npy").to(device) for name in ("train", "valid")]
    return Training(model, streams[0], streams[1], params.train, params.seed).run()


def main(params: Params, root: Path) -> None:
    """Train with both kernels and compare."""
    device = devices.choose(params.device)
    devices.configure(device, params.train.precision)
    curves = {kernel: np.array(train(kernel, params, root, device).perplexity) for kernel in ("book", "fused")}
    difference = np.abs(curves["fused"] / curves["book"] - 1)[:FIRST_EPOCHS]
    write_json(
        root / "metrics/benchmark_curves.json",
        {
            "corpus": params.corpus.name,
            "environment": devices.environment(device, "book and fused", params.train.precision),
            "epochs": params.train.epochs,
            f"largest_relative_difference_in_{FIRST_EPOCHS}_epochs": float(difference.max()),
            "perplexity": {kernel: float(curve[-1]) for kernel, curve in curves.items()},
        },
    )


if __name__ == "__main__":
    stage.run(main)
