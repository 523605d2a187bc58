"""Trainings that are not over: they run, or they were stopped, and their curves end where they are."""

from pathlib import Path

from lstm_lm.comparison.measures import LABELS
from lstm_lm.core import stage
from tools.report.difference import Difference


def unfinished(found: Difference, root: Path) -> list[str]:
    """A sentence for each model whose curve has other epochs than metrics/train_<model>.json tells, or lacks that."""
    told = []
    for model, label in LABELS.items():
        curve = found.curve(model, "train_perplexity", at_base=False)
        trained = found.metric(f"metrics/train_{model}.json", "epochs").new
        if curve and max(curve) != trained:
            state = "is running" if stage.is_running(f"train_{model}", root) else "was stopped before its end"
            planned = found.params["train.epochs"].new
            told.append(f"The training of {label} {state}: its curves show {max(curve)} of {planned} epochs.")
    return told
