"""Train torch.nn.LSTM: data/tokens/ -> data/models/concise.safetensors, metrics, curves."""

from pathlib import Path

from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.training import experiment


def main(params: Params, root: Path) -> None:
    """Train "concise" as params.yaml says."""
    experiment.train("concise", params, root)


if __name__ == "__main__":
    stage.run(main)
