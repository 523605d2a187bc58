"""`make curves`: whether the fused kernels learn what the book's loop learns, from one seed, on the pipeline's data.

Trains with each kernel and the parameters of params.yaml and writes metrics/benchmark_curves.json: the largest
relative difference of their per-epoch perplexities over the first epochs, where rounding alone sets them apart,
and what each reaches: in the last epoch, and in the median of the last epochs, among which some spike. Needs
data/tokens/, so run `dvc repro tokenize` first.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.exercises.training import Tokens, configured, train
from lstm_lm.core import device as devices
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params

KERNELS = ("book", "fused", "fused_pytorch")
FIRST_EPOCHS = 20
LAST_EPOCHS = 25


def curve(kernel: str, params: Params, tokens: Tokens, device: torch.device) -> np.ndarray:
    """Train the scratch model with `kernel`, as the pipeline does; perplexity by epoch, (epochs,)."""
    training = train(params.changed({"scratch.kernel": kernel}), tokens, device)
    return np.array([epoch.train_perplexity for epoch in training.epochs])


def main(params: Params, root: Path) -> None:
    """Train with every kernel and compare with the book's."""
    device, tokens = configured(params), Tokens.load(root / "data/tokens")
    curves = {kernel: curve(kernel, params, tokens, device) for kernel in KERNELS}
    apart = {kernel: np.abs(curves[kernel] / curves["book"] - 1)[:FIRST_EPOCHS].max() for kernel in KERNELS[1:]}
    write_json(
        root / "metrics/benchmark_curves.json",
        {
            "corpus": params.corpus.name,
            "environment": devices.environment(device, ", ".join(KERNELS), params.train.precision),
            "epochs": params.train.epochs,
            "first_epochs": FIRST_EPOCHS,
            "largest_relative_difference": {kernel: float(f"{value:.2g}") for kernel, value in apart.items()},
            "perplexity": {kernel: float(curve[-1]) for kernel, curve in curves.items()},
            "last_epochs": LAST_EPOCHS,
            "median_perplexity": {kernel: float(np.median(curve[-LAST_EPOCHS:])) for kernel, curve in curves.items()},
        },
    )


if __name__ == "__main__":
    stage.run(main)
