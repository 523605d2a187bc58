"""The benchmark of large texts, on a small one."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import corpus, corpus_picture


def test_every_stage_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(corpus, "WORDS", 10_000)
    monkeypatch.setattr(corpus, "TOKENIZERS", [("word", "none")])
    monkeypatch.setattr(corpus, "PARTITIONS", {"random": corpus.PARTITIONS["random"]})
    size = corpus.measure(0.1, rounds=1)
    assert size["stages"].keys() == {"fetch", "word, none"}
    assert all(value > 0 for stage in size["stages"].values() for value in stage.values())
    assert all(run["peak_memory_mib"] > 0 for run in [size["training"]["random"], size["evaluate"]])
    assert size["training"]["random"]["large_over_small"] > 0


def test_the_picture_has_a_line_for_each_tokenizer(tmp_path: Path) -> None:
    names = ["fetch", *(f"{level}, {kept}" for level, kept in corpus.TOKENIZERS)]
    sizes = [
        {"megabytes": size, "stages": {name: {"mb_per_second": 1.0, "peak_memory_mib": size} for name in names}}
        for size in (1, 10)
    ]
    corpus_picture.draw({"measured_on": "here", "sizes": sizes}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert corpus_picture.LINES.keys() == set(names)


def test_the_text_is_always_the_same_and_its_common_words_are_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "WORDS", 10_000)
    one, other = (b"".join(islice(corpus.blocks(5), 2)) for _ in range(2))
    assert one == other
    words = one.split()
    assert Counter(words).most_common(1)[0][1] > len(words) / 30
    assert one.count(b"\n") == len(words) // 12
