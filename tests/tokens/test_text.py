"""Text to tokens as the textbook has it."""

import hashlib
import os
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from lstm_lm.corpus.source import Sources, fetch
from lstm_lm.tokens import text
from lstm_lm.tokens.encoding import decoded
from lstm_lm.tokens.streams import Stream
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from machines import needs_corpora
from projects import ROOT

LETTERS = Tokenizer("char", "letters")


@pytest.mark.parametrize(
    ("raw", "normalized"),
    [
        ("The Time Machine, by H. G. Wells [1898]\n", "the time machine by h g wells"),
        ("  'Tis -- well!  \n\n said\r\nI\rthen", "tis wellsaidithen"),
        ("Ωmega naïve caf\N{LATIN SMALL LETTER E WITH ACUTE}", "mega na ve caf"),
        ("a\vb\x85c\N{LINE SEPARATOR}d", "a b c d"),  # no line ends for the textbook
        ("KELVIN \N{KELVIN SIGN}", "kelvin"),
        ("123\n!?\n", ""),
        ("", ""),
    ],
)
def test_normalize(raw: str, normalized: str) -> None:
    assert LETTERS.normalize(raw) == normalized


def test_the_splits_follow_each_other() -> None:
    splits = text.split([range(20)], (10, 4, 3))
    assert splits == {"train": range(10), "valid": range(10, 14), "test": range(14, 17)}


@pytest.mark.parametrize(
    ("counts", "sizes"), [((-1, 4, 3), (13, 4, 3)), ((4, -1, 3), (4, 13, 3)), ((4, 3, -1), (4, 3, 13))]
)
def test_one_split_may_take_what_is_left(counts: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    splits = text.split([range(20)], counts)
    assert tuple(map(len, splits.values())) == sizes
    assert list(chain.from_iterable(splits.values())) == list(range(20))


@pytest.mark.parametrize("counts", [(10, 6, 5), (-1, 10, 9), (-1, 10, 11)])
def test_splits_that_do_not_fit_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^the corpus has 20 tokens, too few for tokenize\.train_tokens -?\d+, "):
        text.split([range(20)], counts)


def test_entropy_is_that_of_the_frequencies() -> None:
    assert text.unigram_entropy([10, 10, 10, 10, 0]) == 2.0
    assert text.unigram_entropy([3, 1]) == pytest.approx(2 - 0.75 * np.log2(3))
    assert str(text.unigram_entropy([7])) == "0.0"


def test_several_streams_are_the_splits_themselves() -> None:
    streams = [range(9), range(9, 14), range(14, 17)]
    assert list(text.split(streams, (-1, -1, -1)).values()) == streams
    assert list(text.split(streams, (2, -1, 3)).values()) == [range(2), *streams[1:]]
    with pytest.raises(
        ValueError, match=r"^the corpus's valid file has 5 tokens, too few for tokenize.valid_tokens 6:"
    ):
        text.split(streams, (-1, 6, -1))
    with pytest.raises(ValueError, match=r"^the corpus's test file has 1 tokens, "):
        text.split([*streams[:2], range(14, 15)], (-1, -1, -1))


def test_of_one_stream_only_one_split_may_be_all_that_is_left() -> None:
    with pytest.raises(ValueError, match="only one of train_tokens, valid_tokens, test_tokens may be -1"):
        text.split([range(20)], (-1, 4, -1))


def test_the_description_counts() -> None:
    streams = {
        name: Stream(tokens, unknown, characters, "")
        for name, tokens, unknown, characters in (("train", 2, 0, 2), ("valid", 2, 0, 3), ("test", 3, 2, 4))
    }
    entropy = -(2 * 0.4 * np.log2(0.4) + 0.2 * np.log2(0.2))
    assert text.describe(np.array([0, 2, 2, 1]), streams) == {
        "tokens": 5,
        "train_tokens": 2,
        "valid_tokens": 2,
        "test_tokens": 3,
        "train_unknown_tokens": 0,
        "valid_unknown_tokens": 0,
        "test_unknown_tokens": 2,
        "train_characters": 2,
        "valid_characters": 3,
        "test_characters": 4,
        "vocabulary_size": 4,
        "unigram_entropy_bits": pytest.approx(entropy),
        "unigram_perplexity": pytest.approx(2**entropy),
    }


@needs_corpora
def test_the_time_machine_is_the_textbook_s(tmp_path: Path) -> None:
    fetch("time_machine", tmp_path, Sources(ROOT / "data/corpora", os.environ["CORPUS_MIRROR"]))
    raw = "".join(decoded(tmp_path / "corpus.txt"))
    stream = LETTERS.normalize(raw)
    vocabulary = Vocabulary.of(stream, LETTERS)
    ids = vocabulary.encode(stream)
    assert len(ids) == 170_580
    assert vocabulary.tokens == ("<unk>", *" etainoshrdlmucfwgypbvkxzjq")
    assert stream.startswith("the time machine by h g wellsithe time traveller for so it will be")
    assert ids.dtype == np.uint8
    digest = "6e4b58fb6d0d894ec6448ca8521d4a42f763afc5409d9b2478fc9b46d36a439d"
    assert hashlib.sha256(ids.tobytes()).hexdigest() == digest
