"""A corpus as token ids: its texts, the three splits, and what they are like."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from lstm_lm.core import elementary
from lstm_lm.core.json_file import read_json
from lstm_lm.tokens.streams import Stream

SPLITS: tuple[str, ...] = ("train", "valid", "test")


def corpus_files(folder: Path) -> list[Path]:
    """What the fetch stage left in `folder`: one text that is yet to be split, or one for each split."""
    names = SPLITS if (folder / f"{SPLITS[0]}.txt").exists() else ("corpus",)
    return [folder / f"{name}.txt" for name in names]


def unigram_entropy(counts: Iterable[int]) -> float:
    """Entropy of the token frequencies, in bits per token: what a model needs that knows them and no context.

    That is on the text that they were counted in. Frequencies of the train split alone need more on another split: of
    our sample 15 % more perplexity for words, no more for characters.

    Args:
        counts: how often each token occurs.
    """
    counts = [count for count in counts if count]
    tokens = sum(counts)
    probabilities = np.array(counts) / tokens
    return -math.fsum((probabilities * elementary.log(probabilities)).tolist()) / math.log(2) + 0.0


def split(parts: Sequence[range], counts: Sequence[int]) -> dict[str, range]:
    """The places of the train, valid and test splits.

    Args:
        parts: the places of one stream of tokens, from whose head the splits are cut one after the other, or those of a
            stream for each.
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


def _consecutive(stream: range, counts: Sequence[int]) -> list[range]:
    rest = len(stream) - sum(count for count in counts if count >= 0)
    sizes = [rest if count < 0 else count for count in counts]
    if rest < 0 or min(sizes) < 2:
        asked = ", ".join(f"tokenize.{name}_tokens {count}" for name, count in zip(SPLITS, counts, strict=True))
        raise ValueError(_too_few("the corpus", len(stream), asked))
    return [stream[end - size : end] for end, size in zip(accumulate(sizes), sizes, strict=True)]


def _too_few(what: str, tokens: int, asked: str) -> str:
    return f"{what} has {tokens:,} tokens, too few for {asked}: lower them or take a longer text"


def describe(frequencies: np.ndarray, streams: Mapping[str, Stream]) -> dict[str, float]:
    """Counts and the unigram baseline of a tokenised corpus (entropy of the whole stream, bits per token).

    Args:
        frequencies: how often each id occurs in the whole corpus, (vocab_size,).
        streams: the splits.
    """
    entropy = unigram_entropy(frequencies.tolist())
    return {
        "tokens": int(frequencies.sum()),
        **{f"{name}_tokens": stream.tokens for name, stream in streams.items()},
        **{f"{name}_unknown_tokens": stream.unknown for name, stream in streams.items()},
        **{f"{name}_characters": stream.characters for name, stream in streams.items()},
        "vocabulary_size": len(frequencies),
        "unigram_entropy_bits": entropy,
        "unigram_perplexity": float(elementary.exp(np.asarray(entropy * math.log(2)))),
    }


def tokens_per_character(path: Path) -> dict[str, float]:
    """For each split, from the description that the tokenize stage wrote.

    Raises:
        ValueError: it lacks a count.
        OSError: it cannot be read.
    """
    try:
        description = read_json(path)
        return {name: description[f"{name}_tokens"] / description[f"{name}_characters"] for name in SPLITS}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} lacks the tokens or the characters of a split: run the tokenize stage") from error
