"""Trainings that still run or were stopped before their end."""

from pathlib import Path

from lstm_lm.comparison.measures import LABELS
from lstm_lm.core import stage
from tools.report.difference import Difference


def unfinished(found: Difference, root: Path) -> list[str]:
    """A sentence for each model whose curve ends at another epoch than metrics/train_<model>.json says."""
    told = []
    for model, label in LABELS.items():
        curve = found.curve(model, "train_perplexity", at_base=False)
        trained = found.metric(f"metrics/train_{model}.json", "epochs").new
        if curve and max(curve) != trained:
            state = "still training" if stage.is_running(f"train_{model}", root) else "stopped"
            told.append(f"{label}: {state} after {max(curve)} of {found.params['train.epochs'].new} epochs.")
    return told
