"""Texts to tokens and back: characters and words, letters only and everything."""

import os
from itertools import chain
from pathlib import Path

import pytest

from lstm_lm.corpus.source import Sources, fetch
from lstm_lm.tokens import text
from lstm_lm.tokens.encoding import decoded
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from machines import needs_corpora
from projects import ROOT

CHARACTERS, LETTERS = Tokenizer("char", "none"), Tokenizer("char", "letters")
WORDS, LETTER_WORDS = Tokenizer("word", "none"), Tokenizer("word", "letters")
DECOMPOSED, COMPOSED = "Ze\N{COMBINING DIAERESIS}", "Z\N{LATIN SMALL LETTER E WITH DIAERESIS}"
RAW = f"It's {DECOMPOSED}!\r\n\rNew  \ttown: \u4e2d\u6587\n"


def corpus(name: str, folder: Path) -> list[str]:
    """The texts of a registered corpus."""
    fetch(name, folder, Sources(ROOT / "data/corpora", os.environ["CORPUS_MIRROR"]))
    return ["".join(decoded(path)) for path in text.corpus_files(folder)]


@pytest.mark.parametrize(
    ("tokenizer", "tokens", "joined"),
    [
        (LETTERS, list("it s zenew town"), "it s zenew town"),
        (LETTER_WORDS, ["it", "s", "ze", "new", "town"], "it s ze new town"),
        (CHARACTERS, list(f"It's {COMPOSED}!\n\nNew  \ttown: \u4e2d\u6587\n"), None),
        (
            WORDS,
            ["It's", f"{COMPOSED}!", "<eos>", "<eos>", "New", "town:", "\u4e2d\u6587", "<eos>"],
            f"It's {COMPOSED}!\n\nNew town: \u4e2d\u6587\n",
        ),
    ],
    ids=str,
)
def test_tokens_and_the_text_that_they_stand_for(tokenizer: Tokenizer, tokens: list[str], joined: str | None) -> None:
    found = tokenizer.tokens(tokenizer.normalize(RAW))
    assert list(found) == tokens
    assert tokenizer.join(found) == ("".join(tokens) if joined is None else joined)
    assert len(list(tokenizer.spelled(found))) == len(tokens)


@pytest.mark.parametrize("tokenizer", [CHARACTERS, LETTERS, WORDS, LETTER_WORDS], ids=str)
def test_tokens_spell_what_they_are_made_of(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokens(tokenizer.normalize(RAW * 2))
    assert tokenizer.tokens(tokenizer.normalize(tokenizer.join(tokens))) == tokens
    assert list(tokenizer.tokens("")) == []


@needs_corpora
def test_penn_treebank_has_the_published_counts(tmp_path: Path) -> None:
    parts = [WORDS.tokens(WORDS.normalize(part)) for part in corpus("ptb", tmp_path)]
    vocabulary = Vocabulary.of(chain.from_iterable(parts), WORDS)
    assert list(map(len, parts)) == [929_589, 73_760, 82_430]
    assert len(vocabulary) == len(Vocabulary.of(parts[0], WORDS)) == 10_000
    assert vocabulary.tokens[:3] == ("<unk>", "the", "<eos>")
    assert (vocabulary.encode(parts[1]) == 0).sum() == parts[1].count("<unk>") > 0


@needs_corpora
def test_tiny_shakespeare_has_the_published_characters(tmp_path: Path) -> None:
    [raw] = corpus("tiny_shakespeare", tmp_path)
    tokens = CHARACTERS.tokens(CHARACTERS.normalize(raw))
    assert len(Vocabulary.of(tokens, CHARACTERS)) == 65 + 1
    assert len(tokens) == 1_003_854 + 111_540
    assert "".join(tokens) == raw


@needs_corpora
def test_the_time_machine_in_words_is_the_textbook_s(tmp_path: Path) -> None:
    [raw] = corpus("time_machine", tmp_path)
    tokens = LETTER_WORDS.tokens(LETTER_WORDS.normalize(raw))
    assert list(tokens) == [word for line in raw.splitlines() for word in LETTERS.normalize(line).split()]
    assert (len(tokens), len(Vocabulary.of(tokens, LETTER_WORDS))) == (32_775, 4_580)
