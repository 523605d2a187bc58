"""params.yaml as frozen, validated models.

The string under a field describes it, in Markdown: docs/parameters.md and the comments of params.yaml show it.
"""

import functools
import math
import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lstm_lm.core.corpus_name import CorpusName
from lstm_lm.core.yaml_file import Section, load_yaml, shown

_MANY = 10**9  # far above what anyone needs here; the product of two such numbers is an exact integer
Size = Annotated[int, Field(ge=1, le=65536)]
Layers = Annotated[int, Field(ge=1, le=100)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=_MANY)]
TokenCount = Annotated[int, Field(ge=-1, le=_MANY)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

SMALLEST_RATE = 1e-8
"""Of train.lr: with less, float32 weights of ordinary size no longer change."""

_PREFIX_NEEDS = {
    "letters": ("[A-Za-z]", "at least one letter from a to z, which tokenize.normalize letters keeps"),
    "none": (r"[\S\r\n]", "at least one character that is not a space"),
}
"""tokenize.normalize -> a pattern that a prefix must match, and its description."""

MOVED = {
    "model.scratch_kernel": "scratch.kernel",
    "model.init": "concise.init",
    "train.checkpoint_seconds": "checkpoint.seconds",
}
"""A parameter's name in earlier versions -> its name now."""


class Corpus(Section):
    """Which text."""

    name: CorpusName
    """`time_machine`, `tiny_shakespeare`, `ptb`, `sample`, or [a text of yours](corpora.md)"""


class Tokenize(Section):
    """From the text to tokens, and the three splits."""

    level: Literal["char", "word"]
    """`char`: each character is a token; `word`: each word"""
    normalize: Literal["letters", "none"]
    """`letters`: a to z and single spaces, in lower case, as in the book; `none`: the text as it is"""
    min_freq: Count
    """tokens that occur fewer times become `<unk>`"""
    train_tokens: TokenCount
    """length of the first of three splits in a row; one may be -1, the rest (of three files, each)"""
    valid_tokens: TokenCount
    """length of the second split"""
    test_tokens: TokenCount
    """length of the third split"""

    @model_validator(mode="after")
    def _splits_are_possible(self) -> "Tokenize":
        counts = {name: getattr(self, name) for name in ("train_tokens", "valid_tokens", "test_tokens")}
        for name, count in counts.items():
            if count in (0, 1):
                raise ValueError(f"tokenize.{name} is {count}; allowed: -1, or 2 and more (a token and its successor)")
        return self


class Model(Section):
    """Both models."""

    hidden: Size
    """hidden units of each layer of the LSTM"""
    layers: Layers
    """layers of the LSTM"""
    embedding: Size | None
    """size of a token's vector; null: one-hot vectors"""
    dropout: Probability
    """probability of dropout on the input, between layers and before the output"""
    tied: bool
    """`true`: the output layer's weights are the embedding's"""
    init_scale: Positive | None
    """s: all initial weights are uniform in (-s, s); null: the book's, see `concise.init`"""

    @model_validator(mode="after")
    def _tied_weights_have_one_size(self) -> "Model":
        if self.tied and self.embedding != self.hidden:
            raise ValueError(
                f"model.tied is true; then model.embedding ({self.embedding}) must be model.hidden ({self.hidden})"
            )
        return self


class Scratch(Section):
    """The model from scratch alone."""

    kernel: Literal["book", "fused", "fused_pytorch"]
    """`book`: the loop to read; `fused`: the same, faster, in C++ on a CPU; `fused_pytorch`: in PyTorch"""


class Concise(Section):
    """The model with torch.nn.LSTM alone."""

    init: Literal["book", "shared"]
    """initial weights: `book`: PyTorch's own, as in the book; `shared`: those of the scratch model"""


class Train(Section):
    """The training of both models."""

    batch_size: Count
    """rows of a batch"""
    num_steps: Count
    """tokens in a window of back-propagation through time"""
    epochs: Annotated[int, Field(ge=1, le=10**6)]
    """passes over the train split"""
    lr: Positive
    """learning rate"""
    clip: Positive
    """upper bound of the global gradient norm"""
    optimizer: Literal["sgd", "adam"]
    """`sgd` or `adam`"""
    schedule: Literal["constant", "decay", "cosine"]
    """`constant`; `decay`: times `lr_decay` before each epoch after `decay_after`; `cosine`: down to 0"""
    lr_decay: Annotated[float, Field(gt=0, le=1)]
    """factor of the schedule `decay`"""
    decay_after: Annotated[int, Field(ge=0, le=10**6)]
    """epochs before the schedule `decay` begins"""
    keep: Literal["last", "best"]
    """weights to keep: `last`: those of the last epoch; `best`: those with the best validation score"""
    valid_every: Count
    """epochs from one validation score to the next"""
    patience: Count | None
    """stop after so many validation scores without improvement; null: never"""
    sampling: Literal["sequential", "random"]
    """`sequential`: the state is carried from batch to batch; `random`: each window starts from zero"""
    precision: Literal["fp32", "tf32", "bf16"]
    """`fp32`; `tf32` on CUDA; `bf16` where nn.LSTM has it: products in bfloat16, weights in float32"""
    processes: Count
    """[processes](processes.md) that share the rows of a batch, one for each GPU or group of cores"""

    @property
    def tokens_needed(self) -> int:
        """The fewest tokens with which every epoch has a full window, whatever its random offset."""
        return (self.batch_size + 1) * self.num_steps + 1

    @property
    def scores(self) -> int:
        """Validation scores of a training to the end: one every `valid_every` epochs, and one after the last epoch."""
        return math.ceil(self.epochs / self.valid_every)

    @property
    def may_stop_early(self) -> bool:
        """Whether `patience` can end the training before its last score; the first score is an improvement."""
        return self.patience is not None and self.patience + 1 < self.scores

    @model_validator(mode="after")
    def _decay_leaves_something_to_learn_with(self) -> "Train":
        decays = max(0, self.epochs - self.decay_after)
        if self.schedule == "decay" and not self.may_stop_early and self.lr_decay**decays < SMALLEST_RATE:
            last = self.decay_after + math.floor(math.log(SMALLEST_RATE, self.lr_decay))
            raise ValueError(
                f"train.schedule is 'decay': after epoch {last} of {self.epochs} (train.epochs) less than "
                f"{SMALLEST_RATE:.0e} of train.lr is left; raise train.lr_decay ({self.lr_decay}) or "
                f"train.decay_after ({self.decay_after}), or set train.patience and train.valid_every so that the "
                "training can end early"
            )
        return self

    @model_validator(mode="after")
    def _recurrent_weights_learn(self) -> "Train":
        if self.sampling == "random" and self.num_steps == 1:
            raise ValueError(
                "train.sampling is 'random' and train.num_steps is 1: each window starts from zero, so that no "
                "recurrent weight would learn; raise train.num_steps or set train.sampling to sequential"
            )
        return self

    @model_validator(mode="after")
    def _processes_share_rows(self) -> "Train":
        if self.batch_size % self.processes:
            raise ValueError(f"train.processes is {self.processes}; it must divide train.batch_size, {self.batch_size}")
        return self


class Checkpoint(Section):
    """The saved state of a running training. No result depends on it."""

    seconds: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
    """seconds between two checkpoints"""


class Evaluate(Section):
    """What is asked of the trained models."""

    prefixes: list[Annotated[str, Field(max_length=10_000)]]
    """texts that each model continues"""
    length: Annotated[int, Field(ge=1, le=10**6)]
    """tokens to continue each prefix with"""
    temperature: Positive
    """temperature of the sampled continuation; the other one is greedy"""
    passage: Annotated[int, Field(ge=1, le=1000)]
    """tokens of a passage of the train and the validation split to look at one by one"""
    window: Annotated[int, Field(ge=1, le=10_000)] | None
    """n: scores in windows of n tokens too, each read from a zero state; null: none"""


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """seed of the initial weights, the order of the data and the sampling"""
    device: Literal["auto", "cpu", "cuda"]
    """`auto`, `cpu` or `cuda`"""
    numerics: Literal["portable", "native"]
    """nn.LSTM: `portable`: the same bytes on every x86-64 CPU with AVX2; `native`: its fastest code"""
    corpus: Corpus
    tokenize: Tokenize
    model: Model
    scratch: Scratch
    concise: Concise
    train: Train
    checkpoint: Checkpoint
    evaluate: Evaluate

    @model_validator(mode="before")
    @classmethod
    def _no_key_has_moved(cls, content: Any) -> Any:
        for old, new in MOVED.items():
            section, key = old.split(".")
            found = content.get(section) if isinstance(content, dict) else None
            if isinstance(found, dict) and key in found:
                raise ValueError(f"{old} is now {new}")
        return content

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
        if self.train.precision == "tf32" and self.device == "cpu":
            raise ValueError("train.precision is 'tf32', which only a CUDA GPU has; with device cpu use fp32 or bf16")
        return self

    def changed(self, changes: Mapping[str, object]) -> "Params":
        """These parameters with some values changed, such as {"model.hidden": 512}. Raises ValueError."""
        content = self.model_dump()
        for name, value in changes.items():
            *sections, key = name.split(".")
            functools.reduce(operator.getitem, sections, content)[key] = value
        return Params.model_validate(content)


def load_params(path: Path) -> Params:
    """Read and validate params.yaml. Raises ValueError and OSError as `load_yaml`."""
    return load_yaml(path, Params)
