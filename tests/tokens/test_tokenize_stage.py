"""Words and whole texts through the stages' own scripts."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_lm.tokens.tokenizer import Tokenizer
from projects import ROOT, Project

SAMPLE = (ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8")
WORDS = {"tokenize__level": "word", "tokenize__normalize": "none"}


def metrics(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"metrics/{name}.json").read_text(encoding="utf-8"))


def test_words_are_counted_scored_and_written(small_project: Project) -> None:
    root = small_project.root
    small_project.set(**WORDS, tokenize__min_freq=2, train__epochs=1, evaluate__prefixes=["The sea\n"])
    small_project.run_through("tokenize_corpus")
    words = Tokenizer("word", "none")
    tokens = words.tokens(words.normalize(SAMPLE))
    vocabulary = json.loads((root / "data/tokens/vocabulary.json").read_text(encoding="utf-8"))
    assert len(vocabulary) == 1 + len({token for token in tokens if tokens.count(token) > 1})
    counts = metrics(root, "tokenize")
    for name, start, size in (("train", 0, 2000), ("valid", 2000, 300), ("test", 2300, 300)):
        part = tokens[start : start + size]
        known = [token if token in vocabulary else "<unk>" for token in part]
        assert [vocabulary[index] for index in np.load(root / f"data/tokens/{name}.npy")] == known
        assert counts[f"{name}_unknown_tokens"] == known.count("<unk>") > 0
        assert counts[f"{name}_characters"] == len(words.join(part))
    assert counts["dropped_share"] == 0

    small_project.run_through("train_scratch", "train_concise", "evaluate")
    for model in ("scratch", "concise"):
        for name, score in metrics(root, "evaluate")[model].items():
            per_character = counts[f"{name}_tokens"] / counts[f"{name}_characters"]
            assert score["bits_per_character"] == pytest.approx(score["bits_per_token"] * per_character)
    texts = metrics(root, "generated")["texts"]
    assert {text["prefix"] for text in texts} == {"The sea\n"}
    assert {len(words.tokens(text["text"])) for text in texts} == {5}


def test_of_characters_bits_per_token_are_bits_per_character(small_project: Project) -> None:
    small_project.set(tokenize__normalize="none", train__epochs=1)
    small_project.run_through("tokenize_corpus", "train_scratch", "train_concise", "evaluate")
    ids = np.load(small_project.root / "data/tokens/train.npy")
    vocabulary = json.loads((small_project.root / "data/tokens/vocabulary.json").read_text(encoding="utf-8"))
    assert "".join(vocabulary[index] for index in ids) == SAMPLE[:2000]
    for score in metrics(small_project.root, "evaluate")["scratch"].values():
        assert score["bits_per_character"] == score["bits_per_token"]


def test_a_vocabulary_of_nothing_is_refused_before_anything_is_written(small_project: Project) -> None:
    small_project.set(tokenize__min_freq=10**6)
    before = small_project.files()
    assert small_project.run("tokenize_corpus").complaint == (
        "tokenize_corpus: tokenize.min_freq is 1,000,000; the most frequent token of this text, ' ', occurs "
        f"{Tokenizer('char', 'letters').normalize(SAMPLE).count(' '):,} times, so that every token would be <unk>: "
        "lower it"
    )
    assert small_project.files() == before


def test_a_full_disk_leaves_all_streams_as_they_were(small_project: Project) -> None:
    small_project.set(tokenize__train_tokens=91, tokenize__valid_tokens=-1, tokenize__test_tokens=2)
    before = small_project.files()
    tokens = len(Tokenizer("char", "letters").normalize(SAMPLE))  # as many bytes has the draft
    for limit, full in ((tokens - 1, "data/tokens"), (tokens + 20, "data/tokens/valid.npy")):
        complaint = small_project.run("tokenize_corpus", file_limit=limit).complaint
        assert complaint == f"tokenize_corpus: cannot write {full}: File too large"
        assert small_project.files() == before


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"train": "0"}'])
def test_damaged_digests_are_said_to_be_so(damage: bytes, small_project: Project) -> None:
    (small_project.root / "data/tokens/digests.json").write_bytes(damage)
    assert small_project.run("train_concise").complaint == (
        "train_concise: data/tokens/digests.json is damaged; run the tokenize stage again"
    )


def test_the_digests_are_those_of_the_files(small_project: Project) -> None:
    folder = small_project.root / "data/tokens"
    assert json.loads((folder / "digests.json").read_bytes()) == {
        name: hashlib.sha256((folder / f"{name}.npy").read_bytes()).hexdigest() for name in ("train", "valid")
    }


def test_counts_of_another_version_are_said_to_be_so(small_project: Project) -> None:
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise")
    (small_project.root / "metrics/tokenize.json").write_text('{"train_tokens": 2000}')
    assert small_project.run("evaluate").complaint == (
        "evaluate: metrics/tokenize.json lacks the tokens or the characters of a split: run the tokenize stage"
    )
