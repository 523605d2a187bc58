"""Texts that are odd, broken or no texts at all, through the stages' own scripts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from corpora import write_record
from lstm_lm.core.json_file import read_json
from lstm_lm.tokens.tokenizer import Tokenizer
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
    write_record(path.parent, "own", {"corpus": content})
    return path


def tokens(project: Project, content: bytes) -> tuple[list[str], np.ndarray]:
    """Vocabulary and all ids of a text that can be tokenised."""
    put(project, content)
    project.run_through("fetch", "tokenize_corpus")
    folder = project.root / "data/tokens"
    vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))["tokens"]
    return vocabulary, np.concatenate([np.load(folder / f"{name}.npy") for name in ("train", "valid", "test")])


def refusal(project: Project, stage: str = "tokenize_corpus") -> str:
    """The complaint of a stage that must fail and leave everything as it was."""
    before = project.files()
    complaint = project.run(stage).complaint
    assert project.files() == before
    return complaint


def test_line_ends_and_byte_order_marks_make_no_difference(project: Project) -> None:
    plain = tokens(project, (PROSE * 20).encode())
    with_mark = tokens(project, (PROSE * 20).encode("utf-8-sig"))
    description = read_json(project.root / "metrics/tokenize.json")
    assert description["characters"] == len(PROSE * 20)
    assert with_mark[0] == plain[0]
    assert np.array_equal(with_mark[1], plain[1])
    for old, new in (("\n", "\r\n"), ("\n", "\r"), ("!", "\N{EM DASH}\0\N{PILE OF POO}")):
        other = tokens(project, (PROSE * 20).replace(old, new).encode())
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
    metrics = read_json(project.root / "metrics/tokenize.json")
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
    complaint = refusal(project)
    assert complaint.startswith("tokenize_corpus: the corpus has ")
    assert "tokens, too few for tokenize.train_tokens -1" in complaint
    assert complaint.endswith("lower them or take a longer text")


def test_shorter_than_one_batch_of_windows(project: Project) -> None:
    put(project, (PROSE * 13).encode())
    project.run_through("fetch", "tokenize_corpus")
    for stage in ("train_scratch", "train_concise"):
        assert refusal(project, stage) == (
            f"{stage}: the train split has 63 tokens; train.batch_size 8 and train.num_steps 10 need "
            "at least 91: lower them or raise tokenize.train_tokens"
        )


def test_just_long_enough_for_one_batch_of_windows(project: Project) -> None:
    project.set(**{**SMALL, "tokenize__train_tokens": 91, "train__epochs": 30, "train__sampling": "random"})
    put(project, (PROSE * 50).encode())
    project.run_through("fetch", "tokenize_corpus", "train_concise")
    project.set(**{**SMALL, "tokenize__train_tokens": 91, "train__epochs": 30})
    project.run_through("train_concise")


FRENCH = "L'été dernier, la forêt était déserte et le café fermé.\n"
CHINESE = "时间旅行者正在给我们讲解一个深奥的问题。\n"
RUSSIAN = "Поезд остановился перед маленькой станцией, и никто не вышел.\n"
NOT_UTF_8 = {
    "latin-1": (
        PROSE.encode() + b"caf\xe9 noir",
        f"byte 0xe9 at offset {len(PROSE) + 3} is not UTF-8 but probably Windows",
    ),
    "after a mark": (
        b"\xef\xbb\xbf" + FRENCH.encode("cp1252"),
        "byte 0xe9 at offset 5 is not UTF-8 but probably Windows",
    ),
    "late": (
        (PROSE * 5000 + FRENCH).encode("cp1252"),
        f"at offset {len(PROSE) * 5000 + 2} is not UTF-8 but probably Win",
    ),
    "gbk": ((CHINESE * 30).encode("gbk"), "is not UTF-8 but probably GB 18030 (as GBK)"),
    "koi8-r": ((RUSSIAN * 30).encode("koi8_r"), "is not UTF-8 but probably KOI8-R"),
    "utf-16": ((PROSE * 9).encode("utf-16"), "byte 0xff at offset 0 is not UTF-8 but probably UTF-16"),
    "utf-16 without a mark": ((PROSE * 9).encode("utf-16-le"), "this is not UTF-8 but probably UTF-16-LE"),
    "utf-16, big end first": ((PROSE * 9).encode("utf-16-be"), "this is not UTF-8 but probably UTF-16-BE"),
    "utf-16 in Russian": ((RUSSIAN * 30).encode("utf-16-le"), "this is not UTF-8 but probably UTF-16-LE"),
    "utf-32 without a mark": ((PROSE * 9).encode("utf-32-le"), "this is not UTF-8 but probably UTF-32-LE"),
    "no text": (b"\x93\xff\x00\x01" * 100, "byte 0x93 at offset 0 is not UTF-8"),
}


@pytest.mark.parametrize(("content", "reason"), NOT_UTF_8.values(), ids=NOT_UTF_8)
def test_another_encoding_is_named_in_one_line(content: bytes, reason: str, project: Project) -> None:
    put(project, content)
    project.run_through("fetch")
    complaint = refusal(project)
    assert complaint.startswith("tokenize_corpus: data/raw/corpus.txt: ")
    assert reason in complaint
    assert complaint.endswith("; save the text as UTF-8")


def test_a_text_cut_in_the_middle_of_a_character_is_said_to_be_so(project: Project) -> None:
    put(project, PROSE.encode() + "\N{EM DASH}".encode()[:2])
    project.run_through("fetch")
    assert refusal(project) == (
        f"tokenize_corpus: data/raw/corpus.txt: byte 0xe2 at offset {len(PROSE)} is not UTF-8: "
        "the text ends in the middle of a character"
    )


def test_the_share_that_is_dropped_is_recorded_and_said_where_it_is_large(project: Project) -> None:
    for text, share, letters in (
        (PROSE * 50 + "é", 5 / 47, None),
        (RUSSIAN * 50 + PROSE * 50, 54 / 95, "54.8%"),
        (PROSE * 50 + "für " * 50, 0.13, "2.2%"),
    ):
        put(project, text.encode())
        project.run_through("fetch")
        result = project.run("tokenize_corpus")
        metrics = read_json(project.root / "metrics/tokenize.json")
        assert (result.exitcode, result.err) == (0, "")
        assert metrics["dropped_share"] == pytest.approx(share, abs=0.02)
        assert result.out == (
            "tokenize.normalize letters keeps a to z only: it drops "
            f"{metrics['dropped_share']:.0%} of this text's characters and {letters} of its letters; "
            "none keeps all of them\n"
            if letters
            else ""
        )


def test_three_files_are_the_three_splits(project: Project) -> None:
    contents = {"train": PROSE * 9, "valid": "a quick, brown fox\n" * 2, "test": "jumps\n" * 3}
    write_record(project.root / "data/corpora", "own", {part: text.encode() for part, text in contents.items()})
    for part, content in contents.items():
        (project.root / f"data/corpora/own.{part}.txt").write_text(content)
    counts = {f"tokenize__{part}_tokens": -1 for part in contents}
    project.set(corpus__name="own", **counts)
    project.run_through("fetch", "tokenize_corpus")
    folder = project.root / "data/tokens"
    vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))["tokens"]
    for part, content in contents.items():
        ids = np.load(folder / f"{part}.npy")
        assert "".join(vocabulary[index] for index in ids) == Tokenizer("char", "letters").normalize(content)
    project.set(corpus__name="own", **{**counts, "tokenize__test_tokens": 16})
    assert "the corpus's test file has 15 tokens" in refusal(project)


def test_the_fetch_stage_never_swaps_the_corpus(small_project: Project) -> None:
    small_project.set(corpus__name="not_there")
    assert "not_there" in refusal(small_project, "fetch")


def test_no_raw_text_yet(project: Project) -> None:
    assert "data/raw/corpus.txt" in refusal(project)


DAMAGED_LISTS = [b"[]", b'["a"]', b'["<unk>", 1]', b'["<unk>", "a", "a"]', b'["<unk>", "\\ud800"]']
DAMAGES = {
    "train.npy": ([b"", b"\x93NUMPY", b"[1, 2]", b"\x80\x04pickle"], "is damaged; run the tokenize stage again"),
    "vocabulary.json": (
        [
            *(b"", b"\xff", b'["<unk>", "a"]', b"[" * 100_000),
            *(b'{"level": "line", "normalize": "none", "tokens": ["<unk>", "a"]}', b'{"tokens": ["<unk>", "a"]}'),
            *(b'{"level": "char", "normalize": "none", "tokens": ' + tokens + b"}" for tokens in DAMAGED_LISTS),
        ],
        "is not a vocabulary of this version; run the tokenize stage again",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_tokens_are_said_to_be_so(name: str, small_project: Project) -> None:
    damages, reason = DAMAGES[name]
    for damage in damages:
        (small_project.root / "data/tokens" / name).write_bytes(damage)
        assert refusal(small_project, "train_concise").startswith(f"train_concise: data/tokens/{name} {reason}")


def test_missing_tokens_are_named(small_project: Project) -> None:
    shutil.rmtree(small_project.root / "data/tokens")
    assert "data/tokens/vocabulary.json" in refusal(small_project, "train_concise")
