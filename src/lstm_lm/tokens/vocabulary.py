"""The vocabulary: tokens, their ids, the tokenizer that made them, and the file that holds all three."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError, field_validator

from lstm_lm.core.atomic import replacing
from lstm_lm.core.yaml_file import Section
from lstm_lm.tokens.tokenizer import Tokenizer

UNKNOWN = "<unk>"
WRITTEN_AT_ONCE = 4096
"""Tokens; all of a large vocabulary at once would take much memory."""


class _File(Section):
    """What a vocabulary's file holds."""

    level: Literal["char", "word"]
    normalize: Literal["letters", "none"]
    tokens: list[str]

    @field_validator("tokens")
    @classmethod
    def _each_token_has_one_id(cls, tokens: list[str]) -> list[str]:
        if tokens[:1] != [UNKNOWN] or len(set(tokens)) < len(tokens):
            raise ValueError(f"{UNKNOWN} must be the first token, and no token may be there twice")
        return tokens


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids: `tokens[id]` is the token, `<unk>` has id 0. `tokenizer` makes them of a text."""

    tokens: tuple[str, ...]
    tokenizer: Tokenizer

    @classmethod
    def of(cls, tokens: Iterable[str], tokenizer: Tokenizer, min_freq: int = 1) -> "Vocabulary":
        """The vocabulary of a stream, as `ranked` has it. Raises ValueError as `ranked` does."""
        counts = Counter(tokens)
        return cls.ranked(list(counts), np.fromiter(counts.values(), np.int64, len(counts)), tokenizer, min_freq)[0]

    @classmethod
    def ranked(
        cls, types: Sequence[str], counts: np.ndarray, tokenizer: Tokenizer, min_freq: int = 1
    ) -> tuple["Vocabulary", np.ndarray]:
        """A vocabulary: `<unk>`, then falling frequency, ties in order of first appearance; and the id of each type.

        Rarer types than `min_freq` are left out: their id is that of `<unk>`, which may be a type itself.

        Args:
            types: the distinct tokens of a stream in order of first appearance.
            counts: how often each occurs, (types,).
            tokenizer: what made them.
            min_freq: how often a token must occur.

        Returns:
            The vocabulary, and ids in the smallest unsigned type, (types,).

        Raises:
            ValueError: every token of the stream would be `<unk>`.
        """
        order = np.argsort(-counts, kind="stable")
        if UNKNOWN in types:
            order = order[order != types.index(UNKNOWN)]
        frequent = order[counts[order] >= min_freq]
        if len(order) and not len(frequent):
            raise ValueError(
                f"tokenize.min_freq is {min_freq:,}; the most frequent token of this text, {types[order[0]]!r}, occurs "
                f"{counts[order[0]]:,} times, so that every token would be {UNKNOWN}: lower it"
            )
        if len(types) and not len(order):
            raise ValueError(f"every word of this text is {UNKNOWN}, so there is nothing to learn: take another text")
        ids = np.zeros(len(types), np.min_scalar_type(len(frequent)))
        ids[frequent] = np.arange(1, len(frequent) + 1)
        return cls((UNKNOWN, *(types[int(number)] for number in frequent)), tokenizer), ids

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote. Raises ValueError where it is something else, OSError."""
        try:
            content = _File.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{path} is not a vocabulary of this version; run the tokenize stage again") from error
        return cls(tuple(content.tokens), Tokenizer(content.level, content.normalize))

    def save(self, path: Path) -> None:
        """Write it as readable JSON, the tokens in the order of their ids, one a line. Raises OSError."""
        with replacing(path) as file:
            file.writelines(self._written())

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what `save` writes."""
        total = hashlib.sha256()
        for piece in self._written():
            total.update(piece)
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The ids of tokens, `(len(tokens),)`, in the smallest unsigned type; unknown ones are 0."""
        ids = {token: index for index, token in enumerate(self.tokens)}
        return np.fromiter((ids.get(token, 0) for token in tokens), np.min_scalar_type(len(self) - 1), len(tokens))

    def _written(self) -> Iterator[bytes]:
        """The file, a piece at a time."""
        before = f'{{\n"level": "{self.tokenizer.level}",\n"normalize": "{self.tokenizer.kept}",\n"tokens": [\n'
        for first in range(0, len(self), WRITTEN_AT_ONCE):
            some = self.tokens[first : first + WRITTEN_AT_ONCE]
            yield (before + json.dumps(some, ensure_ascii=False, separators=(",\n", ":"))[1:-1]).encode()
            before = ",\n"
        yield b"\n]\n}\n"
