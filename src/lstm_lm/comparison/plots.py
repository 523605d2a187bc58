"""What every plot of the results shows: title, axes and lines, for the pipeline's pictures and the report's charts.

DVC's own plots of the same columns are in dvc.yaml.
"""

import math
from typing import NamedTuple

from lstm_lm.comparison.measures import LABELS, SPLITS


class Plot(NamedTuple):
    """A plot's title, the quantity on its y axis, whether that axis is logarithmic, and the title of its x axis.

    `columns` are those of plots/*.tsv that it draws over epochs, each with its split, "" for none.
    """

    title: str
    quantity: str
    columns: dict[str, str]
    log: bool = False
    x: str = "epoch"

    @property
    def y(self) -> str:
        """The title of the y axis."""
        return f"{self.quantity} (log scale)" if self.log else self.quantity


LEARNING_CURVES = Plot(
    "Learning curves", "perplexity", {f"{split}_perplexity": SPLITS[split] for split in ("train", "valid")}, log=True
)
GENERALISATION = Plot("Perplexity on each split", "perplexity", {}, log=True, x="split")
THROUGHPUT = Plot("Training throughput", "tokens per second", {"tokens_per_second": ""})
SURPRISAL = Plot("What they know of a passage", "surprisal, bits", {}, x="token")
SURPRISAL_BY_POSITION = Plot("Where the bits go", "mean surprisal, bits", {}, x="position")
CELL = Plot("One cell along a passage", "value", {}, x="token")


def line_title(model: str, split: str = "") -> str:
    """How legends and tables name the line of a model on a split."""
    return f"{LABELS[model]}, {split}" if split else LABELS[model]


SHADES = 8
"""Steps of the scale of surprisal above none; the last one stands for all that is higher."""
BITS_PER_SHADE = 1.5


def shade(bits: float) -> int:
    """The step of the scale for a surprisal, 0 to SHADES."""
    return min(SHADES, math.floor(bits / BITS_PER_SHADE + 0.5))
