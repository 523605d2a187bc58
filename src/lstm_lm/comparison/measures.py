"""What is compared: the two models, the splits, and every measure that a table shows."""

import math
from collections.abc import Collection, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lstm_lm.comparison.metrics import MEASURED, Passages, Tokenize, read
from lstm_lm.core.json_file import load_json

LABELS = {"scratch": "from scratch", "concise": "torch.nn.LSTM"}
COLOURS = {"scratch": "#1f77b4", "concise": "#e8710a"}
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""The splits' names in files, and for readers."""

FEW_TOKENS = 1000
"""A score of fewer tokens says nothing. The table of results, the report and plots/generalisation.png leave it out."""

BOOK_CORPUS = "time_machine"
BOOK_PERPLEXITY = {"scratch": 1.1, "concise": 1.0}
BOOK_TOKENS_PER_SECOND = {"scratch": 19_827.3, "concise": 297_699.3}
"""What Dive into Deep Learning (Chinese edition 2.0, LSTM, PyTorch) prints after 500 epochs, on an unnamed GPU."""

Table = Literal["results", "experiments", "recipes"]
"""Results: of `make run`, README and the report. Experiments: of `make experiments`. Recipes: of docs/recipes.md."""


class Measure(NamedTuple):
    """A number for each model.

    Attributes:
        title: its name for readers.
        source: file in metrics/ and key in it (see `metrics`), with {model} where the model's name stands.
        form: the format of the number.
        sense: -1 where lower is better, 1 where higher is better, 0 where neither is.
        tables: where it is shown.
        factor: what the number in the file is multiplied by.
        short: the title of a narrow column, where it is another one.
        book: what the book reports.
        optional: whether a parameter decides if there is such a number.
    """

    title: str
    source: str
    form: str
    sense: int
    tables: tuple[Table, ...]
    factor: float = 1.0
    short: str = ""
    book: dict[str, float] | None = None
    optional: bool = False

    @property
    def column(self) -> str:
        """The title of a narrow column."""
        return self.short or self.title[0].lower() + self.title[1:]

    @property
    def split(self) -> str:
        """The split that it is a score of, "" for none."""
        return next((part for part in self.source.split(".") if part in SPLITS), "")

    def place(self, model: str) -> tuple[str, str]:
        """The file, such as metrics/evaluate.json, and the key, such as scratch.valid.perplexity."""
        file, key = self.source.format(model=model).split(":")
        return f"metrics/{file}.json", key

    def value(self, root: Path, model: str) -> float:
        """The measure of a model, from the metrics below `root`. Raises ValueError and OSError as `load_json`."""
        path, key = self.place(model)
        number: Any = reduce(getitem, key.split("."), load_json(root / path, MEASURED[self.place("*")[0]]))
        return number * self.factor

    def is_in(self, root: Path, model: str) -> bool:
        """Whether the metrics below `root` have it; only what is optional may be missing."""
        if not self.optional:
            return True
        try:
            self.value(root, model)
        except KeyError:
            return False
        return True


_ALL: tuple[Table, ...] = ("results", "experiments", "recipes")
MEASURES = {
    "train_perplexity": Measure(
        title="Train perplexity, last epoch",
        source="train_{model}:perplexity",
        form=",.2f",
        sense=-1,
        tables=("results", "recipes"),
        short="train perplexity",
        book=BOOK_PERPLEXITY,
    ),
    "train_score": Measure("Train perplexity", "evaluate:{model}.train.perplexity", ",.2f", -1, ("experiments",)),
    "valid_perplexity": Measure("Validation perplexity", "evaluate:{model}.valid.perplexity", ",.2f", -1, _ALL),
    "test_perplexity": Measure("Test perplexity", "evaluate:{model}.test.perplexity", ",.2f", -1, _ALL),
    "valid_nats": Measure(
        "Validation nats per token", "evaluate:{model}.valid.bits_per_token", ".4f", -1, ("recipes",), math.log(2)
    ),
    "valid_nats_in_windows": Measure(
        title="Validation nats per token, in windows",
        source="evaluate:{model}.valid.bits_per_token_in_windows",
        form=".4f",
        sense=-1,
        tables=("recipes",),
        factor=math.log(2),
        optional=True,
    ),
    "valid_bits_per_character": Measure(
        "Validation bits per character",
        "evaluate:{model}.valid.bits_per_character",
        ",.3f",
        -1,
        ("results", "recipes"),
    ),
    "tokens_per_s": Measure(
        title="Tokens per second",
        source="throughput_{model}:tokens_per_second",
        form=",.0f",
        sense=1,
        tables=_ALL,
        short="tokens/s",
        book=BOOK_TOKENS_PER_SECOND,
    ),
    "seconds": Measure("Training time, s", "throughput_{model}:seconds", ",.1f", 0, ("results",)),
    "minutes": Measure("Minutes of training", "throughput_{model}:seconds", ".1f", 0, ("recipes",), 1 / 60),
    "peak_memory": Measure("Peak memory, MiB", "throughput_{model}:peak_memory_mib", ",.0f", 0, ("results",)),
    "parameters": Measure("Parameters", "train_{model}:parameters", ",.0f", 0, ("results",)),
}
"""Name, as recipe.yaml has it -> measure. A new one is written here, and its key in `metrics`."""

COMPRESSORS = {"lzma": "xz, by Python's lzma", "bz2": "bzip2, by Python's bz2"}
COMPRESSORS_MEASURE = "valid_bits_per_character"
"""What general compressors need for the validation text after the train text is in this measure."""


def shown_in(table: Table, without: Collection[str] = ()) -> dict[str, Measure]:
    """The measures of a table, in order, but for the scores of the splits `without`."""
    return {
        name: measure for name, measure in MEASURES.items() if table in measure.tables and measure.split not in without
    }


def not_shown(table: Table, few: Collection[str]) -> str:
    """Names the splits whose scores a table leaves out, the splits `few`; "" where it leaves out none."""
    splits = dict.fromkeys(SPLITS[measure.split] for measure in shown_in(table).values() if measure.split in few)
    return f"{', '.join(splits)}: fewer than {FEW_TOKENS:,} tokens, not shown" if splits else ""


def beside_the_book(root: Path) -> bool:
    """Whether the results in `root` are about the book's characters, so that its figures may stand beside them."""
    corpus, level = read(root, "tokenize", Tokenize)["corpus"], read(root, "passages", Passages)["level"]
    return (corpus, level) == (BOOK_CORPUS, "char")


def of_both(texts: Mapping[str, str]) -> str:
    """The text of both models, or each with its model where they differ."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{LABELS[model]}: {text}" for model, text in texts.items())


def with_few_tokens(counts: Mapping[str, Any]) -> set[str]:
    """The splits that have too few tokens for a score, as metrics/tokenize.json counts them."""
    return {split for split in SPLITS if counts.get(f"{split}_tokens", FEW_TOKENS) < FEW_TOKENS}


def compressed(root: Path) -> dict[str, float]:
    """Bits per character that each compressor needs, where Python had it, under its name for readers."""
    tokens = read(root, "tokenize", Tokenize)
    keys = {label: f"{name}_bits_per_character" for name, label in COMPRESSORS.items()}
    return {label: tokens[key] for label, key in keys.items() if tokens.get(key) is not None}
