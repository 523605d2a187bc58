"""A text of the user's own becomes a corpus with one command."""

from pathlib import Path

import pytest

from lstm_lm.corpus.record import Part, load_record
from lstm_lm.corpus.source import Sources, fetch
from reported import tool
from tools.corpus import add

TEXT = "Une forêt, la nuit.\n".encode() * 100


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    path = tmp_path / "data/corpora"
    path.mkdir(parents=True)
    return path


def test_a_text_from_elsewhere_is_copied_and_can_be_fetched(corpora: Path, tmp_path: Path) -> None:
    (tmp_path / "War and Peace.txt").write_bytes(TEXT)
    assert add({"corpus": tmp_path / "War and Peace.txt"}, corpora) == "War_and_Peace"
    assert sorted(path.name for path in corpora.iterdir()) == ["War_and_Peace.txt", "War_and_Peace.yaml"]
    assert fetch("War_and_Peace", tmp_path / "raw", Sources(corpora)) == [str(corpora / "War_and_Peace.txt")]
    assert (tmp_path / "raw/corpus.txt").read_bytes() == TEXT


def test_a_text_that_was_changed_gets_a_new_record_under_the_old_licence(corpora: Path) -> None:
    text = corpora / "mine.v1.txt"
    for content in (TEXT, TEXT * 2):
        text.write_bytes(content)
        assert add({"corpus": text}, corpora) == "mine.v1"
        record = load_record("mine.v1", corpora)
        assert record.files["corpus"].bytes == len(content)
        path = corpora / "mine.v1.yaml"
        path.write_text(path.read_text().replace("not stated", "mine"))
    assert record.licence == "mine"
    assert text.read_bytes() == TEXT * 2


def test_three_files_become_the_splits_of_one_corpus(corpora: Path, tmp_path: Path) -> None:
    texts: dict[Part, Path] = {"train": tmp_path / "wiki.train.txt", "valid": tmp_path / "v", "test": tmp_path / "t"}
    for number, text in enumerate(texts.values(), 1):
        text.write_bytes(TEXT * number)
    assert add(texts, corpora) == "wiki"
    fetch("wiki", tmp_path / "raw", Sources(corpora))
    assert {path.name: path.stat().st_size // len(TEXT) for path in (tmp_path / "raw").iterdir()} == {
        "train.txt": 1,
        "valid.txt": 2,
        "test.txt": 3,
    }
    texts["test"].write_bytes(b"")
    texts["valid"].write_bytes(TEXT)
    before = {path: path.read_bytes() for path in corpora.iterdir()}
    with pytest.raises(ValueError, match=r"wiki\.valid\.txt is another text"):
        add(texts, corpora)
    assert {path: path.read_bytes() for path in corpora.iterdir()} == before


def test_what_cannot_be_added_is_said_and_nothing_is_written(corpora: Path, tmp_path: Path) -> None:
    record = (Path(__file__).parents[2] / "data/corpora/time_machine.yaml").read_bytes()
    (corpora / "time_machine.yaml").write_bytes(record)
    (corpora / "taken.txt").write_bytes(TEXT)
    before = {path: path.read_bytes() for path in corpora.iterdir()}
    cases = {
        "time_machine": (TEXT, "can be downloaded and keeps its record: rename"),
        "taken": (TEXT * 2, "is another text: remove it or rename"),
        "empty": (b"", "is empty"),
        "french": (TEXT.decode().encode("cp1252"), "is not UTF-8 but probably Windows-1252"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            add({"corpus": tmp_path / f"{name}.txt"}, corpora)
    with pytest.raises(OSError, match=r"missing\.txt"):
        add({"corpus": tmp_path / "missing.txt"}, corpora)
    assert {path: path.read_bytes() for path in corpora.iterdir()} == before


def test_a_tilde_is_the_home_folder(corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my.txt").write_bytes(TEXT)
    assert tool(tmp_path, "corpus", "~/my.txt").returncode == 0
    assert (corpora / "my.txt").read_bytes() == TEXT


def test_the_command_says_what_to_do_next(corpora: Path, tmp_path: Path) -> None:
    (corpora / "1984.txt").write_bytes(TEXT)

    done = tool(tmp_path, "corpus", "data/corpora/1984.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "In params.yaml, set corpus.name to '1984'; then run the pipeline:\n    make run\n" in done.stdout
    assert "tokenize.train_tokens -1 trains on all of the text" in done.stdout
    (tmp_path / ".git").mkdir()
    done = tool(tmp_path, "corpus", "data/corpora/1984.txt")
    assert "git add data/corpora/1984.yaml data/corpora/1984.txt\n" in done.stdout
    tokens = "-S tokenize.train_tokens=-1"
    kept = "-S tokenize.normalize=none"
    command = "    dvc exp run -S \"corpus.name='1984'\""
    assert f"{command} {tokens} {kept} -S train.epochs=20\n" in done.stdout
    assert "the default keeps a to z only and drops 7.1% of them.\n" in done.stdout
    (corpora / "1984.txt").write_bytes(b"A plain text. " * 100 + TEXT[:20])
    assert f"{command} {tokens} -S train.epochs=20\n" in tool(tmp_path, "corpus", "data/corpora/1984.txt").stdout
    parts = [f"data/corpora/1984.{part}.txt" for part in ("train", "valid", "test")]
    for part in parts:
        (tmp_path / part).write_bytes(TEXT)
    done = tool(tmp_path, "corpus", *parts)
    tokens += " -S tokenize.valid_tokens=-1 -S tokenize.test_tokens=-1"
    assert f"{command} {tokens} {kept} -S train.epochs=20\n" in done.stdout
    assert "-1 takes all tokens of a file; the defaults take the first 10,000, 5,000 and 5,000.\n" in done.stdout
    for arguments, message in (
        ((), "usage: make corpus FILE="),
        (("",), "usage: "),
        (("a", "b", ""), "usage: "),
        (("nowhere.txt",), "nowhere.txt"),
    ):
        failed = tool(tmp_path, "corpus", *arguments)
        assert failed.returncode == 1
        assert message in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
