"""Train the LSTM from scratch: data/tokens/ -> data/models/scratch.safetensors, metrics, curves."""

from pathlib import Path

from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.training import experiment


def main(params: Params, root: Path) -> None:
    """Train "scratch" as params.yaml says."""
    experiment.train("scratch", params, root)


if __name__ == "__main__":
    stage.run(main)
