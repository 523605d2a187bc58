"""The passage, positions and features: whole words where there are any, in any script."""

import pytest

from lstm_lm.evaluation.feature import features
from lstm_lm.evaluation.passage import LAST_POSITION, choose, positions

MARK = "\N{COMBINING ACUTE ACCENT}"


@pytest.mark.parametrize("length", [12, 20, 40])
def test_a_passage_has_whole_words_from_the_middle(length: int) -> None:
    text = "the time traveller for so it will be convenient to speak of him was expounding"
    passage = choose(text, length)
    assert len(text) // 2 <= passage.start < len(text) // 2 + length
    assert text[passage.start - 1] == " "
    assert passage.stop == len(text) or text[passage.stop - 1] == " "
    assert 0 < len(passage) <= length


def test_words_come_in_whole_lines() -> None:
    pieces = ["a", " b", "\n", "c", " d", " e", "\n", "f", " g", "\n", "h", " i", " j", " k"]
    passage = choose(pieces, 5)
    assert pieces[passage.start : passage.stop] == ["f", " g", "\n"]


def test_without_an_edge_it_is_cut_between_characters() -> None:
    text = f"e{MARK}" * 20
    passage = choose(text, 7)
    assert text[passage.start] == text[passage.stop] == "e"
    assert len(passage) == 6
    assert choose("一二三四五六七八九十", 3) == range(5, 8)


@pytest.mark.parametrize("text", ["ab", "a ", "abc", "a b c"])
def test_a_short_text_is_all_passage_but_for_its_first_token(text: str) -> None:
    passage = choose(text, 1000)
    assert passage.start >= 1
    assert passage.stop == len(text)


def test_positions_of_letters_and_of_words() -> None:
    assert positions(f"Don't, e{MARK}!", "char") == [1, 2, 3, 4, 5, 0, 0, 1, 2, 0]
    assert positions("a" * 12, "char")[-3:] == [LAST_POSITION] * 3
    assert positions(["a", " b", "\n", "c"], "word") == [1, 2, 0, 1]
    assert positions(["a", " b", " c"], "word") == [0, 0, 0], "without line ends there are no positions"


def test_features_by_name() -> None:
    text = 'He "said" (x1.\n\nAt'
    found = features(text, "char")
    assert (
        "".join(sign for sign, inside in zip(text, found["inside quotation marks"], strict=True) if inside) == '"said'
    )
    assert "".join(sign for sign, inside in zip(text, found["inside brackets"], strict=True) if inside) == "(x1.\n"
    assert "".join(sign for sign, is_one in zip(text, found["capital letter"], strict=True) if is_one) == "HA"
    assert "".join(sign for sign, is_one in zip(text, found["vowel"], strict=True) if is_one) == "eaiA"
    assert "".join(sign for sign, is_one in zip(text, found["digit"], strict=True) if is_one) == "1"
    assert found["position in the line"][-4:] == [0, 0, 1, 2]
    assert found["first letter of a word"][:5] == [1, 0, 0, 0, 1]


def test_features_of_words() -> None:
    found = features(["The", " <unk>", " 7", "\n", "a"], "word")
    assert found["capital letter"] == [1, 0, 0, 0, 0]
    assert found["unknown token"] == [0, 1, 0, 0, 0]
    assert found["digit"] == [0, 0, 1, 0, 0]
    assert found["first word of a line"] == [1, 0, 0, 0, 1]
