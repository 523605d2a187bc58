"""What the second tanh does: the model from scratch with H_t = O_t * tanh(C_t), and with H_t = O_t * C_t.

Trains both with SGD and with Adam, lets them read the train split and writes metrics/benchmark_tanh.json: perplexities,
and how large cell and hidden states grow. Needs data/tokens/, so run `dvc repro tokenize` first. Takes about a minute
on two cores.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.exercises.training import Tokens, configured, train
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.layer import Stack
from lstm_lm.model.lstm_scratch import BookLayer, TimeStep
from lstm_lm.training.loop import Training
from lstm_lm.training.losses import Diverged

EPOCHS = 50
OPTIMIZERS: dict[str, dict[str, object]] = {"SGD": {}, "Adam": {"train.optimizer": "adam", "train.lr": 0.005}}
"""The book's optimiser, and one with which the model learns much faster."""
ROWS = 32


class LinearOutputLayer(BookLayer):
    """`BookLayer` whose hidden state is O_t * C_t: the cell state, gated but not squashed."""

    def step(self, X: Tensor, H: Tensor, C: Tensor) -> TimeStep:
        """See `BookLayer.step`."""
        book = super().step(X, H, C)
        return book._replace(hidden_state=book.output_gate * book.cell_state)


def without_tanh(params: Params, vocab_size: int) -> LanguageModel:
    """The model that `params` ask for, with the same initial weights and `LinearOutputLayer`."""
    model = build("scratch", vocab_size, params.changed({"scratch.kernel": "book"}))
    layer = LinearOutputLayer(vocab_size, params.model.hidden)
    layer.load_textbook(model.lstm.textbook())
    model.lstm = Stack([layer], model.dropout)
    return model


@torch.no_grad()
def states(model: LanguageModel, tokens: Tokens) -> dict[str, float]:
    """How large the states grow while the model reads the train split, cut into rows, from the zero state."""
    length = len(tokens.train) // ROWS
    columns = torch.from_numpy(tokens.train[: ROWS * length].astype(np.int64)).view(ROWS, length).T.contiguous()
    state, cells, hidden = model.initial_state(ROWS), [], []
    for column in columns:
        _, state = model.hidden_states(column[None].to(state.cell.device), state)
        cells.append(state.cell.abs())
        hidden.append(state.hidden.abs())
    C, H = torch.stack(cells), torch.stack(hidden)
    return {
        "cells_above_1": round(float((C > 1).float().mean()), 4),
        "largest_cell": round(float(C.max()), 2),
        "largest_hidden": round(float(H.max()), 2),
    }


def measure(params: Params, tokens: Tokens, epochs: int) -> list[dict[str, Any]]:
    """A row for each optimiser and model; of a training that diverged it says where."""
    device, rows = configured(params), []
    for optimizer, settings in OPTIMIZERS.items():
        changed = params.changed({**settings, "train.epochs": epochs, "train.valid_every": 1})
        for output, model in (("tanh(C)", None), ("C", without_tanh(changed, len(tokens.vocabulary)))):
            try:
                found = _outcome(train(changed, tokens, device, model), tokens)
            except Diverged as diverged:
                found = {"diverged": str(diverged).partition("; ")[0]}
            rows.append({"optimizer": optimizer, "output": output, **found})
    return rows


def _outcome(training: Training, tokens: Tokens) -> dict[str, float]:
    return {
        "train_perplexity": round(training.epochs[-1].train_perplexity, 3),
        **states(training.model.eval(), tokens),
    }


def main(params: Params, root: Path) -> None:
    """Train with and without the second tanh and write what came of it."""
    rows = measure(params, Tokens.load(root / "data/tokens"), EPOCHS)
    write_json(root / "metrics/benchmark_tanh.json", {"corpus": params.corpus.name, "epochs": EPOCHS, "models": rows})


if __name__ == "__main__":
    stage.run(main)
