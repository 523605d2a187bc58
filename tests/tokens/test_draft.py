"""A text in blocks gives what the whole text gives: its types, their order and counts, and all tokens."""

import re
import sys
import unicodedata
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm_lm.tokens import draft, words
from lstm_lm.tokens.draft import Draft
from lstm_lm.tokens.encoding import decoded
from lstm_lm.tokens.tokenizer import LINE_END, SPACES, Tokenizer
from lstm_lm.tokens.words import Words

TOKENIZERS = [Tokenizer(level, kept) for level in ("char", "word") for kept in ("letters", "none")]
ACUTE, JAMO = "\N{COMBINING ACUTE ACCENT}", "\u1112\u1161\u11ab"
"""What NFC joins with the character before; the three letters of one Korean syllable."""
SIGNS = [*"aB .\n\r\t\x01\x1f\x85", LINE_END, "é", "e", ACUTE, "\u0327", *JAMO, "\u2003", "中", "\U0001f4a9"]
texts = st.lists(st.sampled_from(SIGNS)).map("".join)
quick = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def drafted(path: Path, tokenizer: Tokenizer, size: int) -> tuple:
    """All that a draft holds."""
    with Draft(path.parent, tokenizer) as found:
        found.add(path, size)
        numbers = np.concatenate([np.zeros(0, int), *found.read(found.parts[0])])
        shares = found.dropped_share, found.lost_letters
        return found.types, found.counts.tolist(), numbers.tolist(), found.characters, *shares


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=str)
def test_blocks_of_any_size_give_what_the_whole_text_gives(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"

    @quick
    @given(texts, st.integers(1, 40))
    def check(text: str, size: int) -> None:
        path.write_bytes(text.encode())
        types, counts, numbers, characters, dropped, lost = drafted(path, tokenizer, size)
        normalized = tokenizer.normalize(text)
        tokens = list(tokenizer.tokens(normalized))
        assert [types[number] for number in numbers] == tokens
        assert list(zip(types, counts, strict=True)) == list(Counter(tokens).items())
        assert characters == len(text)
        if tokenizer.kept == "letters":
            solid = sum(map(len, text.split()))
            assert dropped == ((solid - sum(map(len, normalized.split()))) / solid if solid else 0)
            letters = [sign for sign in text if sign.isalpha() or unicodedata.combining(sign)]
            assert lost == (sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0)

    check()


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=str)
def test_where_a_text_may_be_cut_its_parts_have_the_tokens_of_the_whole(tokenizer: Tokenizer) -> None:
    def tokens(text: str) -> list[str]:
        return list(tokenizer.tokens(tokenizer.normalize(text)))

    @quick
    @given(texts)
    def check(text: str) -> None:
        for place in range(1, len(text)):
            if tokenizer.divides(text[place - 1], text[place]):
                assert tokens(text[:place]) + tokens(text[place:]) == tokens(text)

    check()


def test_no_text_is_cut_before_a_character_that_nfc_joins_with_the_one_before() -> None:
    whole = Tokenizer("char", "none")
    for character in map(chr, range(sys.maxunicode + 1)):
        decomposed = unicodedata.decomposition(character).split()
        if len(decomposed) == 2 and not decomposed[0].startswith("<"):
            first, second = (chr(int(point, 16)) for point in decomposed)
            assert not whole.divides(first, second), decomposed
        assert not (unicodedata.combining(character) and whole.divides("a", character))
    assert unicodedata.normalize("NFC", JAMO) == "\ud55c"
    assert not whole.divides(JAMO[0], JAMO[1])
    assert not whole.divides(JAMO[1], JAMO[2])


def test_pieces_are_small_where_the_text_has_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"it was dark and stormy " * 1000)
    for tokenizer in TOKENIZERS:
        pieces = list(draft.pieces(path, tokenizer, size=100))
        assert "".join(pieces) == path.read_text()
        assert max(map(len, pieces)) < 150


def test_white_space_is_what_python_says_it_is() -> None:
    assert "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1)))) == SPACES


def test_several_texts_share_their_types(tmp_path: Path) -> None:
    for name, text in (("a", "to be"), ("b", ""), ("c", "or to be or")):
        (tmp_path / name).write_text(text)
    with Draft(tmp_path, Tokenizer("word", "none")) as found:
        for name in "abc":
            found.add(tmp_path / name)
        assert (found.types, found.counts.tolist()) == (["to", "be", "or"], [2, 2, 2])
        assert found.parts == [range(2), range(2, 2), range(2, 6)]
        assert np.concatenate(list(found.read(range(1, 5)))).tolist() == [1, 2, 0, 1]


def test_a_draft_takes_the_smallest_type_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.txt"
    path.write_text(" ".join(map(str, range(400))))
    monkeypatch.setattr(words, "BUNDLE", 1)
    with Draft(tmp_path, Tokenizer("word", "none")) as found:
        found.add(path, size=400)
        kinds = [block.dtype for block in found.read(found.parts[0])]
        assert np.concatenate(list(found.read(found.parts[0]))).tolist() == list(range(400))
    assert (kinds[0], kinds[-1]) == (np.uint8, np.uint16)


def test_a_draft_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"half of it \xff")

    def add() -> None:
        with Draft(tmp_path / "made", Tokenizer("word", "none")) as found:
            found.add(path, size=4)

    with pytest.raises(ValueError, match="byte 0xff at offset 11 is not UTF-8"):
        add()
    assert list((tmp_path / "made").iterdir()) == []


@quick
@given(texts, st.sampled_from([b"", b"\xff", b"\xe4\xb8", b"\xef\xbb\xbf"]), texts, st.integers(1, 30))
def test_decoding_in_blocks_is_decoding(tmp_path: Path, text: str, odd: bytes, more: str, size: int) -> None:
    content = text.encode() + odd + more.encode()
    path = tmp_path / "text.txt"
    path.write_bytes(content)

    try:
        expected = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=f"at offset {error.start} is not UTF-8"):
            list(decoded(path, size))
        return
    assert "".join(decoded(path, size)) == expected


def test_the_letters_of_all_of_unicode_are_those_of_ascii() -> None:
    everything = "".join(chain(map(chr, range(0xD800)), map(chr, range(0xE000, sys.maxunicode + 1))))
    kept = Tokenizer("char", "letters").normalize(everything)
    assert kept.replace(" ", "") == "abcdefghijklmnopqrstuvwxyz" * 2


@quick
@given(texts)
def test_letters_are_kept_as_the_textbook_keeps_them(text: str) -> None:
    lines = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in re.split("[\r\n]", text)]
    assert Tokenizer("char", "letters").normalize(text) == "".join(lines)
    words_only = Tokenizer("word", "letters")
    assert words_only.tokens(words_only.normalize(text)) == " ".join(lines).split()


@pytest.mark.parametrize("slots", [1, 3, 2**20])
def test_words_are_numbered_in_order_whether_or_not_their_slots_differ(
    slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "SLOTS", np.uint64(slots))
    monkeypatch.setattr(words, "BUNDLE", 2)
    text = ["the", "more", "it", "is", "the", "more", "and", "more", "it", "is", "and", "is", "not", "the", "other"]
    known = Words()
    numbers = np.concatenate(list(known.numbers(iter([" ".join(text[i : i + 3]) for i in range(0, len(text), 3)]))))
    assert known.types == list(dict.fromkeys(text))
    assert [known.types[number] for number in numbers] == text


def test_words_may_hold_any_character() -> None:
    known = Words()
    first = ["a\0 \0 \0\n", f" a{ACUTE} {ACUTE} a\0 {LINE_END}"]
    assert [numbers.tolist() for numbers in known.numbers(iter(first))] == [[0, 1, 1, 2, 3, 4, 0, 2]]
    assert known.types == ["a\0", "\0", LINE_END, f"a{ACUTE}", ACUTE]
    assert [numbers.tolist() for numbers in known.numbers(iter(["", " \u3000\t"]))] == [[]]
