"""JSON is read through a model: what is not as the model says is one line that names the file and the key."""

import json
from pathlib import Path
from typing import Any

import pytest

from lstm_lm.core.atomic import write_record
from lstm_lm.core.json_file import Content, Count, Number, check_keys, load_json, parse_json


class Speed(Content):
    """What is read."""

    threads: Count
    tokens: dict[str, Number]
    note: str | None = None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"threads": ', "is not valid JSON: Expecting value"),
        ("[" * 100_000, "is not valid JSON: maximum recursion depth exceeded"),
        ("[1]", "must hold keys and their values"),
        ("[{}, {}]", "must hold keys and their values"),
        ('{"threads": NaN}', "is not valid JSON: NaN is no number of JSON"),
        ('{"threads": 1}', ": missing key tokens"),
        ('{"threads": 1.5, "tokens": {}}', ": threads is 1.5; input should be a valid integer"),
        ('{"threads": true, "tokens": {}}', ": threads is True; input should be a valid integer"),
        ('{"threads": 1, "tokens": {"a": 1e999}}', ": tokens.a is inf; input should be a finite number"),
        ('{"threads": 1' + "0" * 500 + ', "tokens": {}}', ": threads is 1000"),
        ('{"threads": 1, "tokens": {"a": 1' + "0" * 500 + "}}", ": tokens.a is 1000"),
        ('{"threads": 1, "tokens": {}, "\\ud800": 1}', "is not valid JSON: 'utf-8' codec can't encode"),
    ],
    ids=range(13),
)
def test_anything_else_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json") as error:
        load_json(tmp_path / "a.json", Speed)
    message = str(error.value).removeprefix(str(tmp_path / "a.json")).removeprefix(" ")
    assert message.startswith(said)
    assert message.isprintable()


def test_bytes_that_are_no_text_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON: 'utf-8' codec"):
        parse_json(b'"\xff"', Path("a.json"))


def test_what_is_read_has_the_types_of_the_model_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"threads": 2, "tokens": {"a": 1}, "other": [1]}')
    assert load_json(tmp_path / "a.json", Speed) == {"threads": 2, "tokens": {"a": 1.0}}


def test_a_record_is_a_list_that_is_read_as_its_keys(tmp_path: Path) -> None:
    keys = {"threads": 2, "tokens": {"a": 1.0}}
    write_record(tmp_path / "a.json", keys)
    assert json.loads((tmp_path / "a.json").read_text()) == [keys]
    assert load_json(tmp_path / "a.json", Speed) == keys


@pytest.mark.parametrize(("content", "fits"), [({}, True), ({"tokens": {}}, True), ({"tokens": {"a": "1"}}, False)])
def test_an_earlier_version_may_lack_a_key_but_not_have_another_type(content: dict[str, Any], fits: bool) -> None:
    if fits:
        check_keys(content, Speed, Path("a.json"))
    else:
        with pytest.raises(ValueError, match=r"^a\.json: tokens\.a is '1'; input should be a valid number$"):
            check_keys(content, Speed, Path("a.json"))
