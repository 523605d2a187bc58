"""What compressors need for the validation text, beside the plain difference of two files."""

import bz2
import lzma
import sys
from typing import Literal

import numpy as np
import pytest

from lstm_lm.tokens import compressors
from lstm_lm.tokens.compressors import bits_per_character
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import ROOT

SAMPLE = (ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8").replace("sea", "m\u00e9r") + "\u2603"
COMPRESS = {"lzma": lzma.compress, "bz2": bz2.compress}


def streams(level: Literal["char", "word"], min_freq: int = 1) -> tuple[np.ndarray, np.ndarray, Vocabulary]:
    tokenizer = Tokenizer(level, "none")
    tokens = tokenizer.tokens(SAMPLE)
    vocabulary = Vocabulary.of(tokens, tokenizer, min_freq)
    ids = vocabulary.encode(tokens)
    cut = len(ids) * 2 // 3
    return ids[:cut], ids[cut:], vocabulary


def text(vocabulary: Vocabulary, ids: np.ndarray) -> bytes:
    return vocabulary.tokenizer.join(vocabulary.tokens[token] for token in ids).encode()


@pytest.mark.parametrize("block", [compressors.BLOCK, 100])
@pytest.mark.parametrize("level", ["char", "word"])
def test_it_is_the_difference_of_two_compressed_sizes(
    level: Literal["char", "word"], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressors, "BLOCK", block)
    train, valid, vocabulary = streams(level, min_freq=2)
    both = np.concatenate([train, valid])
    assert b"<unk>" in text(vocabulary, both)
    found = bits_per_character(train, valid, vocabulary, tokens_per_character=0.25)
    assert found.keys() == {"lzma_bits_per_character", "bz2_bits_per_character"}
    for name, compress in COMPRESS.items():
        more = len(compress(text(vocabulary, both))) - len(compress(text(vocabulary, train)))
        assert found[f"{name}_bits_per_character"] == 8 * more / len(valid) * 0.25


def test_of_long_texts_the_end_and_the_head_count(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid, vocabulary = streams("word")
    expected = bits_per_character(train[-200:], valid[:100], vocabulary, 0.25)
    monkeypatch.setattr(compressors, "HISTORY", 800)
    monkeypatch.setattr(compressors, "SCORED", 400)
    assert bits_per_character(train, valid, vocabulary, 0.25) == expected


def test_a_text_that_repeats_the_train_text_costs_next_to_nothing() -> None:
    train, _, vocabulary = streams("char")
    assert bits_per_character(train, train[:5000], vocabulary, 1.0)["lzma_bits_per_character"] < 0.1


def test_a_compressor_that_this_python_lacks_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    assert bits_per_character(*streams("char"), 1.0).keys() == {"bz2_bits_per_character"}
    assert capsys.readouterr().out.startswith("this Python was built without lzma")
