"""Words and whole texts through the stages' own scripts."""

import hashlib
import json
import signal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from lstm_lm.core.json_file import read_json
from lstm_lm.tokens.compressors import bits_per_character
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import ROOT, Project

SAMPLE = (ROOT / "data/corpora/sample.txt").read_text(encoding="utf-8")
WORDS = {"tokenize__level": "word", "tokenize__normalize": "none"}


def metrics(root: Path, name: str) -> dict[str, Any]:
    return read_json(root / f"metrics/{name}.json")


def test_words_are_counted_scored_and_written(small_project: Project) -> None:
    root = small_project.root
    small_project.set(**WORDS, tokenize__min_freq=2, train__epochs=1, evaluate__prefixes=["The sea\n"])
    small_project.run_through("tokenize_corpus")
    words = Tokenizer("word", "none")
    tokens = words.tokens(words.normalize(SAMPLE))
    vocabulary = Vocabulary.load(root / "data/tokens/vocabulary.json").tokens
    assert len(vocabulary) == 1 + len({token for token in tokens if tokens.count(token) > 1})
    counts = metrics(root, "tokenize")
    for name, start, size in (("train", 0, 2000), ("valid", 2000, 300), ("test", 2300, 300)):
        part = tokens[start : start + size]
        known = [token if token in vocabulary else "<unk>" for token in part]
        assert [vocabulary[index] for index in np.load(root / f"data/tokens/{name}.npy")] == known
        assert counts[f"{name}_unknown_tokens"] == known.count("<unk>") > 0
        assert counts[f"{name}_characters"] == pytest.approx(len(words.join(part)), rel=1e-3)
    assert counts["dropped_share"] == 0
    train, valid = (np.load(root / f"data/tokens/{name}.npy") for name in ("train", "valid"))
    per_character = counts["valid_tokens"] / counts["valid_characters"]
    known = Vocabulary.load(root / "data/tokens/vocabulary.json")
    assert counts.items() >= bits_per_character(train, valid, known, per_character).items()

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
    vocabulary = Vocabulary.load(small_project.root / "data/tokens/vocabulary.json").tokens
    assert "".join(vocabulary[index] for index in ids) == SAMPLE[:2000]
    for score in metrics(small_project.root, "evaluate")["scratch"].values():
        assert score["bits_per_character"] == score["bits_per_token"]


TEXTS = {
    "train": "  Two  spaces,\tan indented line.\r\n\r\nA word that\n\n1895\nstands alone:\nno\n" * 30,
    "valid": SAMPLE,
    "test": " ".join(SAMPLE.split()) * 20,  # one line, longer than a block
}


@pytest.mark.parametrize("kept", ["letters", "none"])
def test_words_and_characters_of_a_text_have_the_same_number_of_characters(
    kept: Literal["letters", "none"], bare_project: Project
) -> None:
    raw = bare_project.root / "data/raw"
    raw.mkdir()
    for name, text in TEXTS.items():
        (raw / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    counted = []
    for level in ("char", "word"):
        whole = dict.fromkeys((f"tokenize__{name}_tokens" for name in TEXTS), -1)
        bare_project.set(**whole, tokenize__level=level, tokenize__normalize=kept)
        bare_project.run_through("tokenize_corpus")
        found = metrics(bare_project.root, "tokenize")
        counted.append([found[f"{name}_characters"] for name in TEXTS])
    characters = Tokenizer("char", kept)
    assert counted == [[len(characters.normalize(text)) for text in TEXTS.values()]] * 2


def test_a_part_of_a_text_has_its_share_of_the_characters(small_project: Project) -> None:
    small_project.set(tokenize__level="word")
    small_project.run_through("tokenize_corpus")
    lines = [Tokenizer("char", "letters").normalize(line) for line in SAMPLE.splitlines()]
    kept, words = 0, 2000
    for line in lines:
        kept += len(" ".join(line.split()[:words]))
        words = max(0, words - len(line.split()))
    assert metrics(small_project.root, "tokenize")["train_characters"] == pytest.approx(kept, rel=2e-3)


def test_a_literal_line_end_is_said_to_count_as_one(bare_project: Project) -> None:
    raw = bare_project.root / "data/raw"
    raw.mkdir()
    said = "the text itself has the word <eos>, 2,000 times: each counts as one more line end\n"
    for text, expected in (("a b <eos>\n<eos> c\n", said), ("a b <eos>c\n", "")):
        (raw / "corpus.txt").write_text(text * 1000, encoding="utf-8")
        bare_project.set(**WORDS)
        result = bare_project.run("tokenize_corpus")
        assert (result.exitcode, result.out, result.err) == (0, expected, "")


def test_a_text_of_unknown_words_is_refused_before_anything_is_written(bare_project: Project) -> None:
    raw = bare_project.root / "data/raw"
    raw.mkdir()
    (raw / "corpus.txt").write_text("<unk> " * 4000, encoding="utf-8")
    bare_project.set(**WORDS)
    before = bare_project.files()
    assert bare_project.run("tokenize_corpus").complaint == (
        "tokenize_corpus: every word of this text is <unk>, so there is nothing to learn: take another text"
    )
    assert bare_project.files() == before


def exchange_two_tokens(path: Path) -> None:
    """Make a vocabulary another one of the same size."""
    vocabulary = Vocabulary.load(path)
    unknown, first, second, *others = vocabulary.tokens
    Vocabulary((unknown, second, first, *others), vocabulary.tokenizer).save(path)


def test_a_model_of_another_vocabulary_is_not_evaluated(small_project: Project) -> None:
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise")
    exchange_two_tokens(small_project.root / "data/tokens/vocabulary.json")
    small_project.run_through("train_scratch")
    before = small_project.files()
    assert small_project.run("evaluate").complaint == (
        "evaluate: data/models/concise.safetensors was trained with another vocabulary than that of data/tokens: train "
        "it again with `dvc repro` (first `dvc unfreeze` its stage, if that is frozen)"
    )
    assert small_project.files() == before


def test_a_training_with_another_vocabulary_begins_anew(small_project: Project) -> None:
    small_project.set(train__epochs=100)
    child = small_project.start("train_scratch")
    child.wait_for("epoch 1/")
    child.send(signal.SIGTERM)
    assert child.wait().exitcode == 128 + signal.SIGTERM
    exchange_two_tokens(small_project.root / "data/tokens/vocabulary.json")
    result = small_project.run("train_scratch")
    assert (result.exitcode, "resumed" in result.out) == (0, False)


def test_a_damaged_stream_is_refused_before_anything_is_written(small_project: Project) -> None:
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise")
    path = small_project.root / "data/tokens/valid.npy"
    ids = np.load(path)
    ids[7] = 200
    np.save(path, ids)
    before = small_project.files()
    assert small_project.run("evaluate").complaint == (
        "evaluate: scratch: the stream has the token id 200, the vocabulary 28 tokens: run the tokenize stage again"
    )
    assert small_project.files() == before


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
