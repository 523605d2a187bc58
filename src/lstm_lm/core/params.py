"""params.yaml as frozen, validated models."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lstm_lm.core.yaml_file import load_yaml, shown

# Far above what anyone trains here, low enough that every product of two of them stays an exact integer.
_MANY = 10**9

Size = Annotated[int, Field(ge=1, le=65536)]
Count = Annotated[int, Field(ge=1, le=_MANY)]
TokenCount = Annotated[int, Field(ge=-1, le=_MANY)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

Prefix = Annotated[str, Field(max_length=10_000)]

_PREFIX_NEEDS = {
    "letters": ("[A-Za-z]", "at least one letter from a to z, which tokenize.normalize letters keeps"),
    "none": (r"[\S\r\n]", "at least one character that is not a space"),
}
"""tokenize.normalize -> a pattern that a prefix must hold, and the same in words."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Corpus(_Section):
    """Which text: the name of a record in data/corpora/."""

    name: str

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_a_plain_one(cls, name: object) -> object:
        plain = corpus_name(str(name)) if isinstance(name, str | int) else "my_text"
        if name == plain:
            return name
        if str(name) == plain:  # a number for YAML
            plain = f"'{plain}', with the quotes (dvc exp run -S \"corpus.name='{plain}'\")"
        raise ValueError(
            f"corpus.name is {shown(name)}; allowed: letters, digits, and . _ - between them, "
            f"without .txt; write {plain}"
        )


class Tokenize(_Section):
    """How text becomes tokens, and how many each of the three splits gets (-1: all that remain, or all of its file)."""

    level: Literal["char", "word"]
    normalize: Literal["letters", "none"]
    min_freq: Count
    train_tokens: TokenCount
    valid_tokens: TokenCount
    test_tokens: TokenCount

    @model_validator(mode="after")
    def _splits_are_possible(self) -> "Tokenize":
        counts = {name: getattr(self, name) for name in ("train_tokens", "valid_tokens", "test_tokens")}
        for name, count in counts.items():
            if count in (0, 1):
                raise ValueError(f"tokenize.{name} is {count}; allowed: -1, or 2 and more (a token and its successor)")
        return self


class Model(_Section):
    """Size and kind of the LSTM; `scratch_kernel` chooses between three ways to compute one function."""

    hidden: Size
    layers: Annotated[int, Field(ge=1, le=100)]
    embedding: Size | None
    dropout: Annotated[float, Field(ge=0, lt=1)]
    tied: bool
    init_scale: Positive | None
    scratch_kernel: Literal["book", "fused", "fused_pytorch"]
    init: Literal["book", "shared"]

    @model_validator(mode="after")
    def _tied_weights_have_one_size(self) -> "Model":
        if self.tied and self.embedding != self.hidden:
            raise ValueError(
                f"model.tied is true; then model.embedding ({self.embedding}) must be model.hidden ({self.hidden})"
            )
        return self


class Train(_Section):
    """The training loop; `num_steps` is the window of back-propagation through time, in tokens."""

    batch_size: Count
    num_steps: Count
    epochs: Annotated[int, Field(ge=1, le=10**6)]
    lr: Positive
    clip: Positive
    optimizer: Literal["sgd", "adam"]
    schedule: Literal["constant", "decay", "cosine"]
    lr_decay: Annotated[float, Field(gt=0, le=1)]
    decay_after: Annotated[int, Field(ge=0, le=10**6)]
    keep: Literal["last", "best"]
    valid_every: Count
    patience: Count | None
    sampling: Literal["sequential", "random"]
    precision: Literal["fp32", "tf32", "bf16"]
    checkpoint_seconds: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
    processes: Count

    @property
    def tokens_needed(self) -> int:
        """The fewest tokens of which every epoch has a full window, whatever its random offset."""
        return (self.batch_size + 1) * self.num_steps + 1

    @model_validator(mode="after")
    def _processes_share_rows(self) -> "Train":
        if self.batch_size % self.processes:
            raise ValueError(
                f"train.processes is {self.processes}, train.batch_size {self.batch_size}: "
                "the rows of a batch must be divisible by the processes"
            )
        return self


class Evaluate(_Section):
    """The prefixes to continue, by how many tokens, the temperature of the sampled one; the passage's length."""

    prefixes: list[Prefix]
    length: Annotated[int, Field(ge=1, le=10**6)]
    temperature: Positive
    passage: Annotated[int, Field(ge=1, le=1000)]


class Params(_Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    numerics: Literal["portable", "native"]
    corpus: Corpus
    tokenize: Tokenize
    model: Model
    train: Train
    evaluate: Evaluate

    @model_validator(mode="after")
    def _train_split_holds_a_window(self) -> "Params":
        train, tokens = self.train, self.tokenize.train_tokens
        if 0 <= tokens < train.tokens_needed:
            raise ValueError(
                f"tokenize.train_tokens is {tokens}; train.batch_size {train.batch_size} and train.num_steps "
                f"{train.num_steps} need at least {train.tokens_needed:,}"
            )
        return self

    @model_validator(mode="after")
    def _prefixes_have_tokens(self) -> "Params":
        pattern, needed = _PREFIX_NEEDS[self.tokenize.normalize]
        for number, prefix in enumerate(self.evaluate.prefixes):
            if not re.search(pattern, prefix):
                raise ValueError(f"evaluate.prefixes.{number} is {shown(prefix)}; a prefix needs {needed}")
        return self

    @model_validator(mode="after")
    def _device_has_the_precision(self) -> "Params":
        if self.train.precision == "tf32" and self.device in ("cpu", "mps"):
            raise ValueError(
                f"train.precision is 'tf32', which only a CUDA GPU has; with device {self.device} use fp32 or bf16"
            )
        return self


def corpus_name(text: str) -> str:
    """The name that a corpus may have which is nearest to `text`, such as War_and_Peace for War and Peace.txt."""
    return re.sub("[^A-Za-z0-9._-]+", "_", text.removesuffix(".txt"))[:100].strip("._-") or "my_text"


def load_params(path: Path) -> Params:
    """Read and validate params.yaml. Raises ValueError and OSError as `load_yaml`."""
    return load_yaml(path, Params)
