"""Text to tokens: normalisation, character tokens, the vocabulary."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_lm.atomic import write_text
from lstm_lm.tokens.encoding import decode

UNKNOWN = "<unk>"
SPLITS: tuple[str, ...] = ("train", "valid", "test")


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


def normalize(text: str) -> str:
    """Keep letters only, as the textbook does.

    In each line every run of characters outside A-Z and a-z becomes one space; the line is stripped and
    lower-cased; lines are joined with nothing between them.
    """
    return "".join(re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in re.split("\r\n|\r|\n", text))


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids: `tokens[id]` is the token, `<unk>` has id 0."""

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Iterable[str]) -> "Vocabulary":
        """The vocabulary of a stream: `<unk>`, then falling frequency, ties in order of first appearance."""
        return cls((UNKNOWN, *(token for token, _ in Counter(tokens).most_common())))

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

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text's characters, `(len(text),)`, in the smallest unsigned type; unknown ones are 0."""
        ids = {token: index for index, token in enumerate(self.tokens)}
        return np.fromiter((ids.get(token, 0) for token in text), np.min_scalar_type(len(self) - 1), len(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a sequence of ids."""
        return "".join(self.tokens[index] for index in ids)


def unigram_entropy(ids: np.ndarray) -> float:
    """Entropy of the token frequencies, in bits per token: what a model that ignores all context reaches."""
    frequencies = np.bincount(ids)
    probabilities = frequencies[frequencies > 0] / len(ids)
    return float(-(probabilities * np.log2(probabilities)).sum()) + 0.0


def split(parts: Sequence[np.ndarray], counts: Sequence[int]) -> dict[str, np.ndarray]:
    """The train, valid and test splits.

    Args:
        parts: one stream, (tokens,), from whose head they are cut one after the other, or a stream for each.
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
    for (name, ids), count in zip(splits.items(), counts, strict=True):
        if len(ids) < max(count, 2):
            raise ValueError(_too_few(f"the corpus's {name} file", len(ids), f"tokenize.{name}_tokens {count}"))
        splits[name] = ids[:count] if count >= 0 else ids
    return splits


def _consecutive(ids: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    rest = len(ids) - sum(count for count in counts if count >= 0)
    sizes = [rest if count < 0 else count for count in counts]
    if rest < 0 or min(sizes) < 2:
        asked = ", ".join(f"tokenize.{name}_tokens {count}" for name, count in zip(SPLITS, counts, strict=True))
        raise ValueError(_too_few("the corpus", len(ids), asked))
    return [ids[end - size : end] for end, size in zip(np.cumsum(sizes), sizes, strict=True)]


def _too_few(what: str, tokens: int, asked: str) -> str:
    return (
        f"{what} has {tokens:,} tokens after normalisation to the letters a to z, too few for {asked}: "
        "lower them or take a longer text"
    )


def dropped_share(raw: Sequence[str], normalized: Sequence[str]) -> float:
    """The share of a text's characters, white space apart, that the normalisation drops."""
    characters = sum(len(word) for part in raw for word in part.split())
    kept = sum(len(part) - part.count(" ") for part in normalized)
    return (characters - kept) / characters if characters else 0.0


def describe(ids: np.ndarray, splits: dict[str, np.ndarray], vocabulary: Vocabulary) -> dict[str, float]:
    """Counts and the unigram baseline of a tokenised corpus (entropy of the whole stream, bits per token)."""
    entropy = unigram_entropy(ids)
    return {
        "tokens": len(ids),
        **{f"{name}_tokens": len(part) for name, part in splits.items()},
        "vocabulary_size": len(vocabulary),
        "unigram_entropy_bits": entropy,
        "unigram_perplexity": math.pow(2, entropy),
    }
