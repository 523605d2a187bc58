"""A corpus as token ids: its texts, the vocabulary, the three splits, and what they are like."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from lstm_lm.atomic import write_text
from lstm_lm.tokens.encoding import decode

UNKNOWN = "<unk>"
SPLITS: tuple[str, ...] = ("train", "valid", "test")


class _Stream(Protocol):
    """Tokens or their ids."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Any: ...


_S = TypeVar("_S", bound=_Stream)


def read_corpus(folder: Path) -> list[str]:
    """Read what the fetch stage left in `folder`: one text that is yet to be split, or one for each split.

    Raises:
        ValueError: a text is not UTF-8.
        OSError: a file cannot be read.
    """
    names = SPLITS if (folder / f"{SPLITS[0]}.txt").exists() else ("corpus",)
    return [read_text(folder / f"{name}.txt") for name in names]


def read_text(path: Path) -> str:
    """Read a text: UTF-8, with or without a byte-order mark.

    Raises:
        ValueError: it is not UTF-8; the message names the encoding that it probably has.
        OSError: the file cannot be read.
    """
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids: `tokens[id]` is the token, `<unk>` has id 0."""

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Iterable[str], min_freq: int = 1) -> "Vocabulary":
        """The vocabulary of a stream: `<unk>`, then falling frequency, ties in order of first appearance.

        Rarer tokens than `min_freq` are left out. The stream may hold `<unk>` itself.

        Raises:
            ValueError: no token of the stream is frequent enough.
        """
        counted = [(token, count) for token, count in Counter(tokens).most_common() if token != UNKNOWN]
        known = [token for token, count in counted if count >= min_freq]
        if counted and not known:
            raise ValueError(
                f"tokenize.min_freq is {min_freq:,}; the most frequent token of this text, {counted[0][0]!r}, occurs "
                f"{counted[0][1]:,} times, so that every token would be {UNKNOWN}: lower it"
            )
        return cls((UNKNOWN, *known))

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote. Raises ValueError where it is something else, OSError."""
        try:
            tokens = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            tokens = None
        if not (isinstance(tokens, list) and tokens[:1] == [UNKNOWN] and all(isinstance(t, str) for t in tokens)):
            raise ValueError(f"{path} is not a vocabulary: a JSON list of tokens, {UNKNOWN} first")
        return cls(tuple(tokens))

    def save(self, path: Path) -> None:
        """Write the tokens as a readable JSON list, in the order of their ids. Raises OSError."""
        write_text(path, json.dumps(self.tokens, ensure_ascii=False, indent=0) + "\n")

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The ids of tokens, `(len(tokens),)`, in the smallest unsigned type; unknown ones are 0."""
        ids = {token: index for index, token in enumerate(self.tokens)}
        return np.fromiter((ids.get(token, 0) for token in tokens), np.min_scalar_type(len(self) - 1), len(tokens))


def unigram_entropy(ids: np.ndarray) -> float:
    """Entropy of the token frequencies, in bits per token: what a model that ignores all context reaches."""
    probabilities = [count / len(ids) for count in np.bincount(ids).tolist() if count]
    # Not numpy's log2 and sum: they compute with what the processor offers, and the last bit differs.
    return -math.fsum(p * math.log2(p) for p in probabilities) + 0.0


def split(parts: Sequence[_S], counts: Sequence[int]) -> dict[str, _S]:
    """The train, valid and test splits.

    Args:
        parts: one stream of tokens or of their ids, from whose head they are cut one after the other, or a stream
            for each.
        counts: tokens in each split, from the head of its stream. -1 is all of a split's own stream; of one stream,
            it is all that the other two leave, so that only one of them may be -1.

    Raises:
        ValueError: a stream is too short.
    """
    if len(parts) == 1 and list(counts).count(-1) > 1:
        raise ValueError(
            "tokenize: only one of train_tokens, valid_tokens, test_tokens may be -1, since this corpus is one file"
        )
    if len(parts) == 1:
        return dict(zip(SPLITS, _consecutive(parts[0], counts), strict=True))
    splits = dict(zip(SPLITS, parts, strict=True))
    for (name, stream), count in zip(splits.items(), counts, strict=True):
        if len(stream) < max(count, 2):
            raise ValueError(_too_few(f"the corpus's {name} file", len(stream), f"tokenize.{name}_tokens {count}"))
        splits[name] = stream[:count] if count >= 0 else stream
    return splits


def _consecutive(stream: _S, counts: Sequence[int]) -> list[_S]:
    rest = len(stream) - sum(count for count in counts if count >= 0)
    sizes = [rest if count < 0 else count for count in counts]
    if rest < 0 or min(sizes) < 2:
        asked = ", ".join(f"tokenize.{name}_tokens {count}" for name, count in zip(SPLITS, counts, strict=True))
        raise ValueError(_too_few("the corpus", len(stream), asked))
    return [stream[end - size : end] for end, size in zip(accumulate(sizes), sizes, strict=True)]


def _too_few(what: str, tokens: int, asked: str) -> str:
    return f"{what} has {tokens:,} tokens, too few for {asked}: lower them or take a longer text"


def dropped_share(raw: Sequence[str], normalized: Sequence[str]) -> float:
    """The share of a text's characters, white space apart, that the normalisation to letters drops."""
    characters = sum(len(word) for part in raw for word in part.split())
    kept = sum(len(part) - part.count(" ") for part in normalized)
    return (characters - kept) / characters if characters else 0.0


def describe(
    ids: np.ndarray, splits: Mapping[str, np.ndarray], characters: Mapping[str, int], vocabulary: Vocabulary
) -> dict[str, float]:
    """Counts and the unigram baseline of a tokenised corpus (entropy of the whole stream, bits per token).

    Args:
        ids: the whole stream, (tokens,).
        characters: of each split's text.
    """
    entropy = unigram_entropy(ids)
    return {
        "tokens": len(ids),
        **{f"{name}_tokens": len(part) for name, part in splits.items()},
        **{f"{name}_unknown_tokens": int(np.count_nonzero(part == 0)) for name, part in splits.items()},
        **{f"{name}_characters": characters[name] for name in splits},
        "vocabulary_size": len(vocabulary),
        "unigram_entropy_bits": entropy,
        "unigram_perplexity": math.pow(2, entropy),
    }


def tokens_per_character(path: Path) -> dict[str, float]:
    """For each split, from the description that the tokenize stage wrote.

    Raises:
        ValueError: it lacks a count.
        OSError: it cannot be read.
    """
    try:
        description = json.loads(path.read_bytes())
        return {name: description[f"{name}_tokens"] / description[f"{name}_characters"] for name in SPLITS}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} lacks the tokens or the characters of a split: run the tokenize stage") from error
