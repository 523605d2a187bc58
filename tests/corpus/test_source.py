"""Corpora come whole and right from the first source that has them, or not at all and with a reason."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpora import OLD, TEXT, Shelf, write_record
from lstm_lm.corpus.source import CorpusUnavailable, Sources, fetch
from lstm_lm.tokens.tokenizer import Tokenizer
from machines import needs_corpora
from projects import ROOT
from servers import sends, serve

PARTS = {"train": b"one two three", "valid": b"four", "test": b"five"}


def test_every_source_and_every_way_out_is_named(shelf: Shelf) -> None:
    with serve(sends(status=404)) as first, serve(sends(status=410)) as second:
        message = shelf.failure(first.url, second.url)
    local = shelf.corpora / "tale.txt"
    assert message.splitlines() == [
        "no source has tale.txt:",
        f"  {local}: no such file;",
        f"  {first.url}: answers 404 Not Found;",
        f"  {second.url}: answers 410 Gone;",
        "ways out: set CORPUS_MIRROR to a folder or base URL that holds tale.txt, "
        f"put the file at {local}, or choose corpus.name: sample in params.yaml",
    ]


def test_the_local_copy_comes_first(shelf: Shelf) -> None:
    [path] = shelf.add("tale", {"corpus": TEXT})
    with serve(sends(TEXT)) as server:
        assert shelf.bring(server.url, mirror=server.url) == path
    assert server.hits == []


def test_a_wrong_local_copy_is_reported_and_passed_over(shelf: Shelf) -> None:
    (shelf.corpora / "tale.txt").write_bytes(TEXT[1:])
    with serve(sends(TEXT)) as server:
        origin = shelf.bring(server.url)
    assert origin.startswith(f"{server.url}; not from {shelf.corpora / 'tale.txt'}: other bytes instead of the text")


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_comes_before_the_registered_addresses(ending: str, shelf: Shelf, tmp_path: Path) -> None:
    with serve(sends(TEXT)) as mirror, serve(sends(TEXT)) as registered:
        assert shelf.bring(registered.url, mirror=f"{mirror.url}/texts{ending}") == f"{mirror.url}/texts/tale.txt"
        [path] = shelf.add("tale", {"corpus": TEXT}, tmp_path / "mirror")
        assert shelf.bring(registered.url, mirror=f"{tmp_path}/mirror{ending}") == path
    assert registered.hits == []


@pytest.mark.parametrize(
    "mirror",
    ["https://", "http://[", "no/such/folder", "ftp://127.0.0.1", "http://a b/", "http://127.0.0.1:9", "x" * 999],
)
def test_a_mirror_that_makes_no_sense_is_one_failed_source(mirror: str, shelf: Shelf) -> None:
    with serve(sends(TEXT)) as server:
        assert shelf.bring(server.url, mirror=mirror).startswith(server.url)


@pytest.mark.parametrize("login", ["reader:secret", "secret", "reader:se@secret", "reader:se/secret"])
def test_a_password_in_a_mirror_is_not_shown(login: str, shelf: Shelf) -> None:
    with serve(sends(status=404)) as server:
        for host in (server.url.removeprefix("http://"), "", "["):
            message = shelf.failure(mirror=f"http://{login}@{host}")
            assert f"  http://{host}/tale.txt: " in message
            assert "secret" not in message


def test_what_others_wrote_is_printable(shelf: Shelf) -> None:
    with serve(sends(TEXT)) as server:
        assert shelf.failure("http://[\x1b]0;title\x07").replace("\n", "").isprintable()
        origin = shelf.bring("http://[\x1b]0;title\x07", server.url)
    assert r"; not from http://[\x1b]0;title\x07: " in origin


def make_unusable(folder: Path) -> dict[str, str]:
    """Write files that cannot be a corpus, even for a superuser; what is said of each."""
    (folder / "folder.txt").mkdir()
    (folder / "endless.txt").symlink_to("/dev/zero")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "empty.txt").touch()
    (folder / "edited.txt").write_bytes(TEXT + b"edited")
    (folder / "secret.txt").touch(mode=0o000)
    return {
        "folder": "a folder or device, not a file",
        "endless": "a folder or device, not a file",
        "loop": r"cannot be read \(.*[Ss]ymbolic links.*\)",
        "empty": r"an empty file instead of the text \(.*\)",
        "edited": "more than the 134,000 bytes of the text",
        "secret": r"(cannot be read \(Permission denied\)|an empty file .*)",
        "missing": "no such file",
    }


def test_a_users_text_that_cannot_be_used_is_refused_with_the_ways_out(shelf: Shelf) -> None:
    for name, reason in make_unusable(shelf.corpora).items():
        path = shelf.corpora / f"{name}.txt"
        write_record(shelf.corpora, name, {"corpus": TEXT})
        with pytest.raises(CorpusUnavailable, match=rf"{path}: {reason};\n") as caught:
            shelf.fetch(name)
        assert str(caught.value).splitlines()[-1] == (
            f"ways out: bring {path} back (git checkout or dvc pull), or, if the text was changed on purpose, "
            f"write its new record with make corpus FILE={path}"
        )
    assert shelf.contents() == {"corpus.txt": OLD}


def test_an_edited_text_of_the_user_is_refused_although_another_source_has_the_recorded_one(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.add("tale", {"corpus": TEXT}, tmp_path / "mirror")
    (shelf.corpora / "tale.txt").write_bytes(TEXT[1:])
    with pytest.raises(CorpusUnavailable, match="other bytes instead of the text"):
        shelf.fetch("tale", str(tmp_path / "mirror"))
    assert shelf.contents() == {"corpus.txt": OLD}


def test_a_corpus_of_three_files_takes_the_place_of_one(shelf: Shelf, tmp_path: Path) -> None:
    paths = shelf.add("triple", PARTS, tmp_path / "mirror")
    assert shelf.fetch("triple", str(tmp_path / "mirror")) == paths
    assert shelf.contents() == {f"{part}.txt": PARTS[part] for part in PARTS}


def test_of_three_files_all_come_or_none(shelf: Shelf) -> None:
    *_, last = shelf.add("triple", PARTS)
    Path(last).unlink()
    with pytest.raises(CorpusUnavailable, match=r"no source has triple\.test\.txt") as caught:
        shelf.fetch("triple")
    texts = " ".join(
        f"{name}={shelf.corpora}/triple.{part}.txt"
        for name, part in {"FILE": "train", "VALIDATION": "valid", "TEST": "test"}.items()
    )
    assert str(caught.value).endswith(f"with make corpus {texts}")
    assert shelf.contents() == {"corpus.txt": OLD}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can become larger than this, in bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_line_and_leaves_the_old_files(shelf: Shelf) -> None:
    shelf.add("triple", PARTS | {"train": b"more than the disk holds"})
    with disk_of(20), pytest.raises(OSError, match=r"^cannot write .*train\.txt: File too large$"):
        shelf.fetch("triple")
    with serve(sends(TEXT)) as server:
        write_record(shelf.corpora, "tale", {"corpus": TEXT}, server.url)
        with disk_of(20), pytest.raises(OSError, match=rf"^cannot write {shelf.destination}: File too large$"):
            shelf.fetch("tale")
    assert shelf.contents() == {"corpus.txt": OLD}


def test_an_unwritable_destination_is_not_a_sources_fault(shelf: Shelf) -> None:
    shelf.add("tale", {"corpus": TEXT})
    with pytest.raises(OSError, match=r"cannot write .*corpus\.txt"):
        fetch("tale", shelf.destination, Sources(shelf.corpora))


def test_only_files_that_fetch_has_named_are_deleted(shelf: Shelf) -> None:
    for name in ("valid.txt", ".train.txt.0123abcd.tmp", ".corpus.txt.0123abcd.tmp", "notes.txt", ".notes.tmp"):
        shelf.destination.with_name(name).write_bytes(OLD)
    shelf.add("tale", {"corpus": TEXT})
    shelf.fetch("tale")
    assert shelf.contents() == {"corpus.txt": TEXT, "notes.txt": OLD, ".notes.tmp": OLD}


def test_a_link_in_the_place_of_the_folder_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("tale", {"corpus": TEXT})
    (tmp_path / "link").symlink_to(shelf.destination.parent)
    with pytest.raises(ValueError, match=rf"^{tmp_path}/link is a symbolic link, .*: put a folder in its place$"):
        fetch("tale", tmp_path / "link", Sources(shelf.corpora))
    assert shelf.contents() == {"corpus.txt": OLD}


def test_an_experiment_elsewhere_takes_what_the_project_has(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (tmp_path / "copy/corpora").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(project))
    write_record(Path("corpora"), "tale", {"corpus": TEXT})
    texts = [project / "mirror/tale.txt", project / "corpora/tale.txt"]
    sources = Sources(Path("corpora"), "mirror")
    with pytest.raises(CorpusUnavailable) as caught:
        fetch("tale", shelf.destination.parent, sources)
    for text in texts:
        assert f"{text}: no such file" in str(caught.value)
        text.parent.mkdir(parents=True)
        text.write_bytes(TEXT)
        assert fetch("tale", shelf.destination.parent, sources) == [str(text)]


def test_the_sample_is_a_long_connected_text(shelf: Shelf) -> None:
    fetch("sample", shelf.destination.parent, Sources(ROOT / "data/corpora"))
    text = shelf.destination.read_bytes().decode("ascii")
    prose = [paragraph for paragraph in text.strip().split("\n\n") if len(paragraph) > 10]  # headings are numerals
    assert len(Tokenizer("char", "letters").normalize(text)) >= 24_000
    assert len(set(prose)) == len(prose) > 50
    assert max(len(line) for line in text.splitlines()) <= 70


@needs_corpora
@pytest.mark.parametrize("name", ["time_machine", "tiny_shakespeare", "ptb"])
def test_a_real_corpus_has_its_digest(name: str, shelf: Shelf) -> None:
    fetch(name, shelf.destination.parent, Sources(ROOT / "data/corpora", os.environ["CORPUS_MIRROR"]))
