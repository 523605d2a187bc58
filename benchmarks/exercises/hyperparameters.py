"""How hyperparameters change time, perplexity and text: each training changes one or two of the book's settings.

Trains the model from scratch and writes metrics/benchmark_hyperparameters.json. Three seeds with the book's settings
show how much of a difference is chance. Needs data/tokens/, so run `dvc repro tokenize` first. Takes 5 to 15 minutes on
two cores.
"""

from pathlib import Path

from benchmarks.exercises.training import Tokens, configured, outcome, train
from lstm_lm.core import device as devices
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params

EPOCHS = 200
CHANGES: list[dict[str, object]] = [
    {"seed": 0},
    {"seed": 1},
    {"seed": 2},
    {"model.hidden": 64},
    {"model.hidden": 512},
    {"model.layers": 2},
    {"model.layers": 2, "model.init_scale": 0.1},
    {"train.num_steps": 10},
    {"train.num_steps": 70},
    {"train.batch_size": 8},
    {"train.batch_size": 128},
    {"train.lr": 0.25},
    {"train.lr": 4.0},
    {"train.optimizer": "adam", "train.lr": 0.005},
    {"train.sampling": "random"},
]
"""What differs from params.yaml in each training, under DVC's names. The first three are the default."""


def measure(params: Params, tokens: Tokens, epochs: int) -> list[dict[str, object]]:
    """A row for each of `CHANGES`: what it changed and what came of `epochs` epochs."""
    device, rows = configured(params), []
    for changes in CHANGES:
        changed = params.changed({"train.epochs": epochs, **changes})
        rows.append({"changes": changes, **outcome(train(changed, tokens, device), tokens)})
    return rows


def main(params: Params, root: Path) -> None:
    """Train with each change and write the outcomes."""
    rows = measure(params, Tokens.load(root / "data/tokens"), EPOCHS)
    measured_on = devices.measured_on(devices.choose(params.device))
    report = {"corpus": params.corpus.name, "measured_on": measured_on, "epochs": EPOCHS, "trainings": rows}
    write_json(root / "metrics/benchmark_hyperparameters.json", report)


if __name__ == "__main__":
    stage.run(main)
