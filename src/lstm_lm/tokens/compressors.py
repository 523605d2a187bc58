"""What general compressors need for the validation text after the train text: a baseline beside the models."""

import importlib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from lstm_lm.core.printable import say
from lstm_lm.tokens.vocabulary import Vocabulary

COMPRESSORS: dict[str, Callable[[Any], Any]] = {
    "lzma": lambda lzma: lzma.LZMACompressor(preset=6),
    "bz2": lambda bz2: bz2.BZ2Compressor(9),
}
"""Python's modules, each with what makes its compressor, with the presets that are the defaults of xz and bzip2."""

HISTORY = 2**23
"""Characters at the end of the train text that count as what came before: lzma remembers 8 MiB, bz2 less than one."""

SCORED = 2**20
"""Characters at the head of the validation text that are compressed; a longer text would take lzma minutes."""

BLOCK = 2**16
"""Tokens that are compressed at once."""


def bits_per_character(
    train: np.ndarray, valid: np.ndarray, vocabulary: Vocabulary, tokens_per_character: float
) -> dict[str, float]:
    """For each compressor the bits by which both texts together are longer than the train text alone.

    A text is what the model sees, `<unk>` for each unknown token, in UTF-8.

    Args:
        train: token ids, (tokens,).
        valid: token ids, (tokens,).
        vocabulary: theirs.
        tokens_per_character: in the validation split, as metrics/tokenize.json counts characters.

    Returns:
        By "<compressor>_bits_per_character". A compressor that this Python was built without is left out.
    """
    history, size = (max(1, int(characters * tokens_per_character)) for characters in (HISTORY, SCORED))
    before, scored = train[-history:], valid[:size]
    found = {}
    for name, make in COMPRESSORS.items():
        try:
            module = importlib.import_module(name)
        except ImportError:
            say(f"this Python was built without {name}: it cannot say what {name} needs for the validation text")
            continue
        more = _size(make(module), vocabulary, before, scored) - _size(make(module), vocabulary, before)
        found[f"{name}_bits_per_character"] = 8 * more / len(scored) * tokens_per_character
    return found


def _size(compressor: Any, vocabulary: Vocabulary, *streams: np.ndarray) -> int:
    """The bytes that the text of consecutive streams becomes."""
    return sum(len(compressor.compress(block)) for block in _text(vocabulary, *streams)) + len(compressor.flush())


def _text(vocabulary: Vocabulary, *streams: np.ndarray) -> Iterator[bytes]:
    """The text of consecutive streams in UTF-8, some tokens at a time."""
    blocks = (stream[start : start + BLOCK] for stream in streams for start in range(0, len(stream), BLOCK))
    ids = chain.from_iterable(block.tolist() for block in blocks)
    pieces = vocabulary.tokenizer.spelled(vocabulary.tokens[token] for token in ids)
    while text := "".join(islice(pieces, BLOCK)):
        yield text.encode()
