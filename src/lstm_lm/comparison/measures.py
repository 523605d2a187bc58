"""What is compared: the two models, the splits, and the measures in metrics/ that say how well a model did."""

import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

LABELS = {"scratch": "from scratch", "concise": "torch.nn.LSTM"}
COLOURS = {"scratch": "#1f77b4", "concise": "#e8710a"}
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""The splits' names in files, and for readers."""

BOOK_CORPUS = "time_machine"
BOOK_PERPLEXITY = {"scratch": 1.1, "concise": 1.0}
BOOK_TOKENS_PER_SECOND = {"scratch": 19_827.3, "concise": 297_699.3}
"""What Dive into Deep Learning (the LSTM chapter, PyTorch) prints after 500 epochs, on a GPU that it does not name."""


class Measure(NamedTuple):
    """A number for each model, as every table of results shows it.

    `file` in metrics/ and `key` in it hold "{model}" where the model's name stands. `form` is how to write the number.
    `sense` is -1 where lower is better, 1 where higher is better, 0 where neither is. `book` is what the book reports.
    """

    title: str
    file: str
    key: str
    form: str
    sense: int
    book: dict[str, float] | None = None

    def place(self, model: str) -> tuple[str, str]:
        """The file, such as metrics/evaluate.json, and the key, such as scratch.valid.perplexity."""
        return f"metrics/{self.file.format(model=model)}.json", self.key.format(model=model)

    def value(self, root: Path, model: str) -> float:
        """The number in the metrics below `root`.

        Raises:
            ValueError: the file lacks the key.
            OSError: the file is missing.
        """
        path, key = self.place(model)
        try:
            return reduce(getitem, key.split("."), read(root, Path(path).stem))  # pyright: ignore[reportReturnType]
        except KeyError as error:
            raise ValueError(f"{path} lacks the key {key!r}: run dvc repro") from error


LAST_TRAIN_PERPLEXITY = Measure(
    "Train perplexity, last epoch", "train_{model}", "perplexity", ",.2f", -1, BOOK_PERPLEXITY
)
TRAIN_PERPLEXITY, VALIDATION_PERPLEXITY, TEST_PERPLEXITY = (
    Measure(f"{name.capitalize()} perplexity", "evaluate", f"{{model}}.{split}.perplexity", ",.2f", -1)
    for split, name in SPLITS.items()
)
SPEED = Measure("Tokens per second", "throughput_{model}", "tokens_per_second", ",.0f", 1, BOOK_TOKENS_PER_SECOND)
MEASURES = (
    LAST_TRAIN_PERPLEXITY,
    VALIDATION_PERPLEXITY,
    TEST_PERPLEXITY,
    Measure("Validation bits per character", "evaluate", "{model}.valid.bits_per_character", ",.3f", -1),
    SPEED,
    Measure("Training time, s", "throughput_{model}", "seconds", ",.1f", 0),
    Measure("Peak memory, MiB", "throughput_{model}", "peak_memory_mib", ",.0f", 0),
    Measure("Parameters", "train_{model}", "parameters", ",.0f", 0),
)


def read(root: Path, name: str) -> dict[str, Any]:
    """The content of metrics/<name>.json. Raises OSError."""
    return json.loads((root / f"metrics/{name}.json").read_text(encoding="utf-8"))
