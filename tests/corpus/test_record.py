"""A record says what a corpus is; where it does not, one line says what to do."""

from pathlib import Path

import pytest
import yaml

from corpora import write_record
from lstm_lm.corpus.record import load_record
from projects import ROOT

RECORD = {"licence": "none", "files": {"corpus": {"bytes": 3, "sha256": "0" * 64, "sources": ["https://host/a"]}}}


def complaint(name: str, folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load_record(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_records_that_come_with_the_project_are_well_formed() -> None:
    folder = ROOT / "data/corpora"
    names = {path.stem for path in folder.glob("*.yaml")}
    assert {"time_machine", "tiny_shakespeare", "sample", "ptb"} <= names
    for name in names:
        for file in load_record(name, folder).files.values():
            assert all(url.startswith("https://") for url in file.sources)
            assert file.sources or name == "sample"


BROKEN = {
    "no digest": ({"files": {"corpus": {"bytes": 3}}}, "missing key files.corpus.sha256"),
    "short digest": ({"files": {"corpus": {"bytes": 3, "sha256": "ab"}}}, "files.corpus.sha256 is 'ab'"),
    "no size": ({"files": {"corpus": {"bytes": 0, "sha256": "0" * 64}}}, "files.corpus.bytes is 0"),
    "too large": ({"files": {"corpus": {"bytes": 10**19, "sha256": "0" * 64}}}, f"files.corpus.bytes is {10**19}; "),
    "an address of another kind": (
        {"files": {"corpus": {"bytes": 3, "sha256": "0" * 64, "sources": ["file:///etc/passwd"]}}},
        "files.corpus.sources.0 is 'file:///etc/passwd'",
    ),
    "two files": (
        {"files": dict.fromkeys(("train", "test"), RECORD["files"]["corpus"])},
        "files: train, test; allowed: corpus, or train, valid and test",
    ),
    "no file": ({"files": {}}, "files: none; allowed"),
    "another key": ({"license": "none"}, "unknown key license"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_refused_by_key(change: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "tale.yaml").write_text(yaml.safe_dump(RECORD | change, sort_keys=False), encoding="utf-8")
    assert complaint("tale", tmp_path).startswith(f"{tmp_path}/tale.yaml: {message}")


def test_an_unknown_name_says_what_there_is_and_how_to_add_a_text(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_record(tmp_path, name, {"corpus": b"text"})
    assert complaint("novel", tmp_path) == (
        "corpus.name: 'novel' is none of the corpora (a, b); "
        "add a text of your own with make corpus FILE=path/to/novel.txt"
    )


def test_a_text_without_a_record_says_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").touch()
    assert complaint("novel", tmp_path) == (
        f"corpus.name: {tmp_path}/novel.txt has no record yet: make corpus FILE={tmp_path}/novel.txt writes it"
    )
