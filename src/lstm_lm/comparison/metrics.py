"""What the stages leave in metrics/: the keys that are read of each file, and what may stand under them."""

from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from lstm_lm.core.json_file import Content, Count, Number, load_json

Perplexity = Annotated[Number, Field(gt=0)]


class Tokenize(Content):
    """metrics/tokenize.json."""

    corpus: str
    characters: Count
    tokens: Count
    train_tokens: Count
    valid_tokens: Count
    test_tokens: Count
    unigram_entropy_bits: Number
    unigram_perplexity: Perplexity
    lzma_bits_per_character: Number | None = None
    bz2_bits_per_character: Number | None = None


class Train(Content):
    """metrics/train_<model>.json."""

    corpus: str
    perplexity: Perplexity
    epochs: Count
    hidden: Count
    seed: Count
    parameters: Count


class Throughput(Content):
    """metrics/throughput_<model>.json."""

    device: str
    compiler: str
    tokens_per_second: Number
    tokens_per_second_q1: Number
    tokens_per_second_q3: Number
    seconds: Number
    peak_memory_mib: Number


class Environment(Content):
    """metrics/environment_<model>.json; its other keys depend on the kind of machine."""

    device: str
    kernel: str


class Score(Content):
    """How well a model predicts a split."""

    perplexity: Perplexity
    bits_per_token: Number
    bits_per_character: Number
    bits_per_token_in_windows: Number | None = None


class Scores(Content):
    """The scores of a model."""

    train: Score
    valid: Score
    test: Score


class Evaluate(Content):
    """metrics/evaluate.json."""

    corpus: str
    scratch: Scores
    concise: Scores


class Digests(Content):
    """metrics/digests.json: the SHA-256 of each model's file."""

    scratch: str
    concise: str


class Text(Content):
    """What a model wrote after a prefix."""

    model: str
    prefix: str
    mode: str
    text: str


class Generated(Content):
    """metrics/generated.json."""

    texts: list[Text]


class Expected(Content):
    """What a model expected at a token."""

    bits: Annotated[Number, Field(ge=0)]
    likeliest: dict[str, Number]


class Token(Content):
    """A token of a passage."""

    text: str
    scratch: Expected
    concise: Expected


Passage = Annotated[list[Token], Field(min_length=1)]


class Passages(Content):
    """metrics/passages.json."""

    train: Passage
    valid: Passage
    level: Literal["char", "word"]


class ModelUnits(Content):
    """See `lstm_lm.evaluation.unit.units`."""

    tokens: dict[str, Count]
    units: list[dict[str, Count | Annotated[tuple[str, Number], Strict(strict=False)]]]
    scales: dict[str, list[Number]]
    values: dict[str, dict[str, str]]

    @model_validator(mode="after")
    def _every_unit_has_its_values(self) -> "ModelUnits":
        count, series = len(self.units), self.scales.keys()
        if any(len(scales) != count for scales in self.scales.values()):
            raise ValueError(f"scales must be those of {count} units")
        if not all(unit.keys() == {"layer", "number", *series} for unit in self.units):
            raise ValueError(f"units must have a layer, a number and what follows: {', '.join(series)}")
        for split, tokens in self.tokens.items():
            values = self.values.get(split, {})
            if values.keys() != series or any(len(b64decode(part)) != count * tokens for part in values.values()):
                raise ValueError(f"values.{split} must be those of {count} units along {tokens} tokens")
        return self


class Units(Content):
    """data/units.json."""

    scratch: ModelUnits
    concise: ModelUnits


MEASURED: dict[str, type[Content]] = {
    "metrics/environment_*.json": Environment,
    "metrics/evaluate.json": Evaluate,
    "metrics/throughput_*.json": Throughput,
    "metrics/tokenize.json": Tokenize,
    "metrics/train_*.json": Train,
}
"""The files of numbers, with a star for the model's name -> what is read of them."""


def read(root: Path, name: str, model: type[Content]) -> dict[str, Any]:
    """What is read of metrics/<name>.json. Raises ValueError and OSError as `load_json`."""
    return load_json(root / f"metrics/{name}.json", model)
