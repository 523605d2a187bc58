"""Texts that are odd, broken or no texts at all, through the stages' own scripts."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from projects import Project

PROSE = "It was a dark, stormy night!\nThe rain fell in torrents...\n"
SMALL = {"corpus__name": "own", "tokenize__train_tokens": -1}


@pytest.fixture
def project(bare_project: Project) -> Project:
    """A project that takes the user's own text."""
    bare_project.set(**SMALL)
    return bare_project


def put(project: Project, content: bytes) -> Path:
    path = project.root / "data/corpora/own.txt"
    path.write_bytes(content)
    return path


def tokens(project: Project, content: bytes) -> tuple[list[str], np.ndarray]:
    """Vocabulary and all ids of a text that can be tokenised."""
    put(project, content)
    project.run_through("fetch", "tokenize_corpus")
    folder = project.root / "data/tokens"
    vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    return vocabulary, np.concatenate([np.load(folder / f"{name}.npy") for name in ("train", "valid", "test")])


def test_line_ends_and_byte_order_marks_make_no_difference(project: Project) -> None:
    plain = tokens(project, (PROSE * 20).encode())
    with_mark = tokens(project, (PROSE * 20).encode("utf-8-sig"))
    description = json.loads((project.root / "metrics/tokenize.json").read_text())
    assert description["characters"] == len(PROSE * 20)
    assert with_mark[0] == plain[0]
    assert np.array_equal(with_mark[1], plain[1])
    for content in (
        (PROSE * 20).replace("\n", "\r\n").encode(),
        (PROSE * 20).replace("\n", "\r").encode(),
        (PROSE * 20).replace("!", "\N{EM DASH}\0\N{PILE OF POO}").encode(),
    ):
        other = tokens(project, content)
        assert other[0] == plain[0]
        assert np.array_equal(other[1], plain[1])


def test_one_endless_line(project: Project) -> None:
    line = (PROSE * 20_000).replace("\n", " ").encode()
    assert b"\n" not in line
    _, ids = tokens(project, line)
    assert len(ids) == 20_000 * len("it was a dark stormy night the rain fell in torrents ") - 1


def test_a_single_repeated_character_goes_all_the_way(project: Project) -> None:
    project.set(**SMALL, train__epochs=2)
    vocabulary, ids = tokens(project, b"a" * 2000)
    assert (vocabulary, set(ids.tolist()), len(ids)) == (["<unk>", "a"], {1}, 2000)
    metrics = json.loads((project.root / "metrics/tokenize.json").read_text())
    assert (metrics["unigram_entropy_bits"], metrics["unigram_perplexity"]) == (0, 1)
    project.run_through("train_scratch", "train_concise", "evaluate", "compare")
    texts = json.loads((project.root / "metrics/generated.json").read_text())["texts"]
    assert {row["text"] for row in texts} == {"aaaaa"}


TOO_SHORT = {
    "a blank": b" \n\t\n",
    "no letter that is kept": "Δεν υπάρχει 123 !?\n".encode() * 100,
    "a few words": PROSE.encode(),
}


@pytest.mark.parametrize("content", TOO_SHORT.values(), ids=TOO_SHORT)
def test_too_few_tokens_for_the_windows(content: bytes, project: Project) -> None:
    put(project, content)
    project.run_through("fetch")
    before = project.files()
    complaint = project.run("tokenize_corpus").complaint
    assert complaint.startswith("tokenize_corpus: the corpus has ")
    assert "tokens after normalisation to the letters a to z, too few for tokenize.train_tokens -1" in complaint
    assert complaint.endswith("lower them or take a longer text")
    assert project.files() == before


def test_shorter_than_one_batch_of_windows(project: Project) -> None:
    put(project, (PROSE * 13).encode())
    project.run_through("fetch", "tokenize_corpus")
    before = project.files()
    for kind in ("scratch", "concise"):
        complaint = project.run(f"train_{kind}").complaint
        assert complaint == (
            f"train_{kind}: the train window has 63 tokens; train.batch_size 8 and train.num_steps 10 need "
            "at least 91: lower them or raise tokenize.train_tokens"
        )
    assert project.files() == before


def test_just_long_enough_for_one_batch_of_windows(project: Project) -> None:
    project.set(**{**SMALL, "tokenize__train_tokens": 91, "train__epochs": 30, "train__sampling": "random"})
    put(project, (PROSE * 50).encode())
    project.run_through("fetch", "tokenize_corpus", "train_concise")
    project.set(**{**SMALL, "tokenize__train_tokens": 91, "train__epochs": 30})
    project.run_through("train_concise")


@pytest.mark.parametrize(
    ("content", "byte", "offset"),
    [
        (PROSE.encode() + b"caf\xe9", "0xe9", len(PROSE) + 3),
        (b"\xef\xbb\xbf" + PROSE.encode() + b"\xe9 noir", "0xe9", len(PROSE) + 3),
        (PROSE.encode("utf-16"), "0xff", 0),
        (PROSE.encode() + "\N{EM DASH}".encode()[:2], "0xe2", len(PROSE)),
    ],
    ids=["latin-1", "after a byte-order mark", "utf-16", "cut in the middle"],
)
def test_an_undecodable_byte_is_named_with_its_offset(content: bytes, byte: str, offset: int, project: Project) -> None:
    put(project, content)
    project.run_through("fetch")
    assert project.run("tokenize_corpus").complaint == (
        f"tokenize_corpus: data/raw/corpus.txt: byte {byte} at offset {offset} is not UTF-8; save the text as UTF-8"
    )


def test_no_raw_text_yet(project: Project) -> None:
    assert "data/raw/corpus.txt" in project.run("tokenize_corpus").complaint


@pytest.mark.parametrize("what", ["empty", "folder", "loop", "pipe", "forbidden", "missing"])
def test_what_is_no_text_is_refused(what: str, project: Project) -> None:
    put(project, (PROSE * 50).encode())
    project.run_through("fetch")
    path = put(project, b"")
    if what == "forbidden":
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
    elif what != "empty":
        path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "pipe":
        os.mkfifo(path)
    complaint = project.run("fetch").complaint
    assert str(path.relative_to(project.root)) in complaint
    assert "put" in complaint
    assert (project.root / "data/raw/corpus.txt").read_bytes() == (PROSE * 50).encode()


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"[1, 2]", b"\x80\x04pickle"])
def test_damaged_tokens_are_said_to_be_so(damage: bytes, small_project: Project) -> None:
    (small_project.root / "data/tokens/train.npy").write_bytes(damage)
    complaint = small_project.run("train_concise").complaint
    assert complaint == "train_concise: data/tokens/train.npy is damaged; run the tokenize stage again"


@pytest.mark.parametrize("damage", [b"", b"\xff", b'["a"]', b'["<unk>", 1]', b"[" * 100_000])
def test_a_damaged_vocabulary_is_said_to_be_so(damage: bytes, small_project: Project) -> None:
    (small_project.root / "data/tokens/vocabulary.json").write_bytes(damage)
    complaint = small_project.run("train_concise").complaint
    assert complaint.startswith("train_concise: data/tokens/vocabulary.json is not a vocabulary")


def test_missing_tokens_are_named(small_project: Project) -> None:
    shutil.rmtree(small_project.root / "data/tokens")
    assert "data/tokens/vocabulary.json" in small_project.run("train_concise").complaint
