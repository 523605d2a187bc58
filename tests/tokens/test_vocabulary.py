"""The vocabulary: its order, its ids, and the file that also says what made it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lstm_lm.tokens import vocabulary as module
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary

CHARACTERS, WORDS = Tokenizer("char", "none"), Tokenizer("word", "none")


def test_the_vocabulary_is_in_order_of_frequency_then_of_appearance() -> None:
    assert Vocabulary.of("banana bread", CHARACTERS).tokens == ("<unk>", "a", "b", "n", " ", "r", "e", "d")
    assert Vocabulary.of("", CHARACTERS).tokens == ("<unk>",)


def test_there_and_back_is_the_same() -> None:
    vocabulary = Vocabulary.of("time traveller", CHARACTERS)
    ids = vocabulary.encode("time travel")
    assert "".join(vocabulary.tokens[index] for index in ids) == "time travel"
    assert vocabulary.encode("my").tolist() == [vocabulary.tokens.index("m"), 0]


@pytest.mark.parametrize(("size", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_ids_take_the_smallest_type_that_holds_them(size: int, kind: type) -> None:
    characters = "".join(map(chr, range(size)))
    ids = Vocabulary.of(characters, CHARACTERS).encode(characters)
    assert ids.dtype == kind
    assert ids.tolist() == list(range(1, size + 1))


@pytest.mark.parametrize("size", [255, 256, 2**16])
def test_each_type_has_an_id_of_its_own_however_many_there_are(size: int) -> None:
    _, ids = Vocabulary.ranked(list(map(str, range(size))), np.ones(size, np.int64), WORDS)
    assert ids.dtype == np.min_scalar_type(size)
    assert ids.tolist() == list(range(1, size + 1))


def test_rare_tokens_and_the_unknown_word_itself_are_unknown() -> None:
    tokens = ["b", "<unk>", "a", "<unk>", "b", "<unk>", "c", "a", "d"]
    assert Vocabulary.of(tokens, WORDS).tokens == ("<unk>", "b", "a", "c", "d")
    vocabulary = Vocabulary.of(tokens, WORDS, min_freq=2)
    assert vocabulary.tokens == ("<unk>", "b", "a")
    assert vocabulary.encode(tokens).tolist() == [1, 0, 2, 0, 1, 0, 0, 2, 0]


def test_a_text_of_unknown_tokens_only_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tokenize\.min_freq is 1,000; the most frequent token of this text, 'a', "):
        Vocabulary.of("aab", CHARACTERS, min_freq=1000)
    with pytest.raises(ValueError, match=r"^every word of this text is <unk>, so there is nothing to learn: "):
        Vocabulary.of(["<unk>", "<unk>"], WORDS)


@pytest.mark.parametrize("at_once", [1, 3, 4, 4096])
def test_it_is_saved_readably_in_pieces_and_loaded(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITTEN_AT_ONCE", at_once)
    vocabulary, path = Vocabulary(("<unk>", " ", "ä", '"'), CHARACTERS), tmp_path / "vocabulary.json"
    vocabulary.save(path)
    assert path.read_text(encoding="utf-8") == (
        '{\n"level": "char",\n"normalize": "none",\n"tokens": [\n"<unk>",\n" ",\n"ä",\n"\\""\n]\n}\n'
    )
    assert Vocabulary.load(path) == vocabulary
    assert Vocabulary.load(path).digest == vocabulary.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_made_the_tokens_is_recorded_not_guessed_from_them(tmp_path: Path) -> None:
    """Words of one letter look like characters, letters and double spaces like normalised text."""
    digests = set()
    for tokenizer in (Tokenizer(level, kept) for level in ("char", "word") for kept in ("letters", "none")):
        vocabulary = Vocabulary.of(["C", "E", "G"], tokenizer)
        vocabulary.save(tmp_path / "vocabulary.json")
        assert Vocabulary.load(tmp_path / "vocabulary.json").tokenizer == tokenizer
        digests.add(vocabulary.digest)
    assert len(digests) == 4
