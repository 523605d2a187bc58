"""The experiments of docs/exercises.md in metrics/benchmark_*.json: the keys that the page shows."""

from itertools import product
from typing import Annotated

from pydantic import Field, model_validator

from lstm_lm.core.json_file import Content, Count, Number
from tools.docs.benchmark import Positive, Quartiles


class Training(Content):
    """What came of a training of the model from scratch."""

    parameters: Count
    seconds: Positive
    train_perplexity: Number
    valid_perplexity: Number
    best_epoch: Count
    text: str


class Changed(Training):
    """A training with some hyperparameters changed."""

    changes: dict[str, int | float | str]


class Hyperparameters(Content):
    """benchmark_hyperparameters.json."""

    corpus: str
    measured_on: str
    epochs: Count
    trainings: Annotated[list[Changed], Field(min_length=1)]


class Level(Training):
    """A training on words or on characters."""

    vocabulary: Count
    tokens: Count
    bits_per_character: Number


class Words(Content):
    """benchmark_words.json."""

    corpus: str
    measured_on: str
    levels: dict[str, Level]


Some = Annotated[Count, Field(gt=0)]


class Counted(Content):
    """What a token costs in a cell."""

    parameters: Some
    multiplications: Some
    functions: Some
    state: Some


TASKS, WAYS = ("training", "writing"), ("equations", "library")


class Cells(Content):
    """benchmark_rnn.json."""

    measured_on: str
    hidden: Count
    counted: dict[str, Counted]
    milliseconds: dict[str, Quartiles]

    @model_validator(mode="after")
    def _every_cell_is_measured(self) -> "Cells":
        for cell, way, task in product(["RNN", *self.counted], WAYS, TASKS):
            if cell not in self.counted or f"{cell}, {way}, {task}" not in self.milliseconds:
                raise ValueError(f"counted or milliseconds lacks {cell} ({cell}, {way}, {task})")
        return self


class Output(Content):
    """A training with or without the second tanh; one that diverged has no numbers, but says where."""

    optimizer: str
    output: str
    train_perplexity: Number | None = None
    cells_above_1: Number | None = None
    largest_cell: Number | None = None
    largest_hidden: Number | None = None
    diverged: str = ""

    @model_validator(mode="after")
    def _all_numbers_or_none(self) -> "Output":
        numbers = [self.train_perplexity, self.cells_above_1, self.largest_cell, self.largest_hidden]
        if None in numbers and numbers != [None] * len(numbers):
            raise ValueError("some numbers of a training are missing")
        return self


class Tanh(Content):
    """benchmark_tanh.json."""

    corpus: str
    epochs: Count
    models: list[Output]


class Series(Content):
    """benchmark_series.json."""

    horizons: list[Count]
    errors: dict[str, list[Number]]
