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

UNKNOWN = "<unk>"
WINDOWS = ("train", "valid", "test")


def read_text(path: Path) -> str:
    """Read a corpus: UTF-8, with or without a byte-order mark.

    Raises:
        ValueError: a byte is not UTF-8; the message names its offset.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8").removeprefix("\ufeff")  # "utf-8-sig" counts offsets from behind the mark
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: byte {content[error.start]:#04x} at offset {error.start} is not UTF-8; save the text as UTF-8"
        ) from error


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


def split(ids: np.ndarray, counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Cut the train, valid and test windows, which follow each other, from the head of a stream.

    Args:
        ids: the whole stream, (tokens,).
        counts: tokens in each window; one of them may be -1, all that the other two leave.

    Raises:
        ValueError: the stream is too short for them.
    """
    rest = len(ids) - sum(count for count in counts if count >= 0)
    sizes = [rest if count < 0 else count for count in counts]
    if rest < 0 or min(sizes) < 2:
        asked = ", ".join(f"tokenize.{name}_tokens {count}" for name, count in zip(WINDOWS, counts, strict=True))
        raise ValueError(
            f"the corpus has {len(ids):,} tokens after normalisation to the letters a to z, too few for {asked}: "
            "lower them or take a longer text"
        )
    ends = np.cumsum(sizes)
    return {name: ids[end - size : end] for name, end, size in zip(WINDOWS, ends, sizes, strict=True)}


def describe(text: str, ids: np.ndarray, windows: dict[str, np.ndarray], vocabulary: Vocabulary) -> dict[str, float]:
    """Counts and the unigram baseline of a tokenised corpus (entropy of the whole stream, bits per token)."""
    entropy = unigram_entropy(ids)
    return {
        "characters": len(text),
        "tokens": len(ids),
        **{f"{name}_tokens": len(window) for name, window in windows.items()},
        "vocabulary_size": len(vocabulary),
        "unigram_entropy_bits": entropy,
        "unigram_perplexity": math.pow(2, entropy),
    }
