"""The figures that both the pipeline's pictures and the report's charts show: titles, axes and lines, declared once.

DVC's own plots of the same columns are named by the columns, so dvc.yaml repeats nothing of this.
"""

import math
from typing import NamedTuple

from lstm_lm.comparison.measures import SPLITS


class Description(NamedTuple):
    """A figure's title, the quantity that it shows, and whether that has a logarithmic axis.

    `columns` are those of plots/*.tsv that it draws over epochs, each with what its line is about, "" for nothing.
    """

    title: str
    quantity: str
    log: bool
    columns: dict[str, str]
    x: str = "epoch"

    @property
    def y(self) -> str:
        """The title of the quantity's axis."""
        return f"{self.quantity} (log scale)" if self.log else self.quantity


LEARNING_CURVES = Description(
    "Learning curves",
    "perplexity",
    log=True,
    columns={f"{split}_perplexity": SPLITS[split] for split in ("train", "valid")},
)
GENERALISATION = Description("Perplexity on each split", "perplexity", log=True, columns={}, x="split")
THROUGHPUT = Description("Training throughput", "tokens per second", log=False, columns={"tokens_per_second": ""})
SURPRISAL = Description("What they know of a passage", "surprisal, bits", log=False, columns={}, x="token")
SURPRISAL_BY_POSITION = Description("Where the bits go", "mean surprisal, bits", log=False, columns={}, x="position")

SHADES = 8
"""Steps of the scale on which surprisal is shaded, above none; the last one stands for all that is above it."""
BITS_PER_SHADE = 1.5


def shade(bits: float) -> int:
    """The step of the scale on which a surprisal stands, 0 to SHADES."""
    return min(SHADES, math.floor(bits / BITS_PER_SHADE + 0.5))
