"""The files in which the evaluate stage writes down what the models know of a passage."""

import csv
import json
import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from lstm_lm.evaluation.feature import features
from lstm_lm.evaluation.inspection import HEAD, inspect, write
from lstm_lm.evaluation.passage import choose, positions
from lstm_lm.evaluation.reading import read
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.score import surprisal
from lstm_lm.tokens.text import SPLITS
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import params_of

Level = Literal["char", "word"]
KINDS = ("scratch", "concise")
TEXTS = {
    "char": 'He said "no\tone"\nand (she)\nleft. ' * 40,
    "word": "the <b> sea\n\u05e9\u05dc\u05d5\u05dd A e\u0301\n" * 60,
}


def inspected(
    level: Level, folder: Path, text: str = "", length: int = 50
) -> tuple[dict[str, LanguageModel], np.ndarray]:
    """Write all files about a text that is each of the splits; the models and the stream."""
    tokenizer = Tokenizer(level, "none")
    tokens = tokenizer.tokens(text or TEXTS[level])
    vocabulary = Vocabulary.of(tokens, tokenizer)
    stream = vocabulary.encode(tokens)
    models = {kind: build(kind, len(vocabulary), params_of(hidden=6)) for kind in KINDS}
    write(inspect(models, dict.fromkeys(SPLITS, stream), vocabulary, length), "a corpus", folder)
    return models, stream


@pytest.mark.parametrize("level", TEXTS)
def test_each_token_has_its_surprisal_and_five_rivals(level: Level, tmp_path: Path) -> None:
    models, stream = inspected(level, tmp_path)
    found = json.loads((tmp_path / "metrics/passages.json").read_text(encoding="utf-8"))
    assert (found["corpus"], found["level"]) == ("a corpus", level)
    assert "".join(row["text"] for row in found["valid"]) in TEXTS[level] + " "
    tokenizer = Tokenizer(level, "none")
    passage = choose(list(tokenizer.spelled(tokenizer.tokens(TEXTS[level]))), 50)
    for kind in KINDS:
        bits = (surprisal(models[kind], stream).double() / math.log(2)).tolist()
        for row, expected in zip(found["valid"], bits[passage.start - 1 : passage.stop - 1], strict=True):
            assert row[kind]["bits"] == pytest.approx(expected, abs=1e-4)
            chances = list(row[kind]["likeliest"].values())
            assert len(chances) == 5
            assert chances == sorted(chances, reverse=True)
            own = row[kind]["likeliest"].get(row["text"])
            assert own is None or own == pytest.approx(2 ** -row[kind]["bits"], abs=1e-3)


@pytest.mark.parametrize("level", TEXTS)
def test_the_tables_hold_the_same_bits_and_their_means(level: Level, tmp_path: Path) -> None:
    models, stream = inspected(level, tmp_path)
    found = json.loads((tmp_path / "metrics/passages.json").read_text(encoding="utf-8"))["train"]
    with (tmp_path / "plots/surprisal_train.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [float(row["scratch"]) for row in rows] == [row["scratch"]["bits"] for row in found]
    assert all(row["token"] for row in rows)
    with (tmp_path / "plots/surprisal_by_position_train.tsv").open(encoding="utf-8", newline="") as file:
        means = list(csv.DictReader(file, delimiter="\t"))
    assert sum(int(row["tokens"]) for row in means) == len(stream) - 1
    total = sum(int(row["tokens"]) * float(row["concise"]) for row in means)
    expected = surprisal(models["concise"], stream).double().numpy() / math.log(2)
    assert total == pytest.approx(expected.sum(), rel=1e-3)
    tokenizer = Tokenizer(level, "none")
    places = np.array(positions(list(tokenizer.spelled(tokenizer.tokens(TEXTS[level]))), level))
    for row in means:
        own = expected[places[1:] == int(row["position"])]
        assert float(row["concise"]) == pytest.approx(own.mean(), abs=1e-3)


def test_a_second_look_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        threads = torch.get_num_threads()
        inspected("char", tmp_path / name)
        assert torch.get_num_threads() == threads
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_no_more_than_the_head_of_a_split_is_read(tmp_path: Path) -> None:
    inspected("char", tmp_path, "ab " * HEAD, length=10)
    lines = (tmp_path / "plots/surprisal_by_position_test.tsv").read_text().splitlines()[1:]
    assert sum(int(line.split("\t")[1]) for line in lines) == HEAD - 1


@pytest.mark.parametrize("text", ["ab", "aaaaaaaa", "a b\n"])
def test_a_tiny_text_has_a_passage_too(text: str, tmp_path: Path) -> None:
    inspected("char", tmp_path, text, length=1000)
    found = json.loads((tmp_path / "metrics/passages.json").read_text(encoding="utf-8"))
    assert "".join(row["text"] for row in found["test"]) == text[-len(found["test"]) :]


@pytest.mark.parametrize(("length", "named"), [(40, False), (60, True)])
def test_along_few_tokens_units_follow_nothing(length: int, named: bool, tmp_path: Path) -> None:
    inspected("char", tmp_path, length=length)
    found = json.loads((tmp_path / "data/units.json").read_text(encoding="utf-8"))
    for row in found["scratch"]["units"]:
        assert (row["cell state"] != ["nothing that has a name", 0.0]) == named


def test_a_unit_follows_what_it_is_correlated_with(tmp_path: Path) -> None:
    models, stream = inspected("char", tmp_path, length=60)
    found = json.loads((tmp_path / "data/units.json").read_text(encoding="utf-8"))
    passage, numbers = choose(TEXTS["char"], 60), features(TEXTS["char"], "char")
    for kind in KINDS:
        hidden = read(models[kind], stream, passage).states.hidden[1:, 0].numpy()
        for row in found[kind]["units"]:
            name, r = row["hidden state"]
            known = {
                feature: np.corrcoef(hidden[:, row["number"] - 1], along)[0, 1]
                for feature, values in numbers.items()
                if len(set(along := [values[number] for number in passage])) > 1
            }
            assert r == pytest.approx(known[name], abs=1e-3)
            assert abs(r) == pytest.approx(max(map(abs, known.values())), abs=1e-3)


def test_units_without_anything_to_follow_are_told_so(tmp_path: Path) -> None:
    inspected("word", tmp_path, "aa bb aa bb aa bb aa")
    found = json.loads((tmp_path / "data/units.json").read_text(encoding="utf-8"))
    assert {row["hidden state"][0] for row in found["scratch"]["units"]} == {"nothing that has a name"}
