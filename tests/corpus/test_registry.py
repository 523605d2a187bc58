"""Corpora come whole and right, or not at all and with a reason, whatever the source does."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

import servers
from lstm_lm.corpus.download import Limits
from lstm_lm.corpus.registry import REGISTRY, SAMPLE, Corpus, CorpusUnavailable, fetch, fetch_registered
from lstm_lm.tokens.text import normalize

ROOT = Path(__file__).parents[2]
TEXT = b"The Time Traveller (for so it will be convenient to speak of him)\r\n" * 50
OLD = b"an older text"
LIMITS = Limits(
    connect_seconds=2.0,
    read_seconds=0.5,
    total_seconds=20.0,
    max_bytes=100_000,
    tries=2,
    backoff_seconds=0.02,
    retry_after_seconds=0.3,
    redirects=3,
)
IN_A_SECOND = replace(LIMITS, total_seconds=1.0)
SLACK_SECONDS = 2.0
"""What a busy machine may add to a bounded time."""


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is not behind a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    path = tmp_path / "raw" / "corpus.txt"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


@pytest.fixture
def corpora_dir(tmp_path: Path) -> Path:
    path = tmp_path / "corpora"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    servers.make_certificate(path)
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


def corpus_at(*urls: str) -> Corpus:
    return Corpus("tale", urls, hashlib.sha256(TEXT).hexdigest(), "public domain")


def failure(corpus: Corpus, destination: Path, corpora_dir: Path, limits: Limits = LIMITS) -> str:
    """The message of a fetch that must fail, leave the old file alone and nothing else behind, and end in time."""
    start = time.monotonic()
    with pytest.raises(CorpusUnavailable) as caught:
        fetch_registered(corpus, destination, corpora_dir, None, limits)
    assert time.monotonic() - start < limits.total_seconds * len(corpus.urls) + SLACK_SECONDS
    assert destination.read_bytes() == OLD
    assert list(destination.parent.iterdir()) == [destination]
    return str(caught.value)


MISBEHAVIOUR = {
    "silent": (servers.sleeps, r"timed out.* \(2 tries\)"),
    "drips": (servers.drips(TEXT), "not complete within 1 s"),
    "drips headers": (servers.drips_headers, "not complete within 1 s"),
    "truncates": (servers.truncates(TEXT), r"IncompleteRead\(1675 bytes read, 1675 more expected\) \(2 tries\)"),
    "truncates, no length": (servers.truncates_without_length(TEXT), "other bytes instead of the text"),
    "404": (servers.answers(404), "answers 404 Not Found"),
    "204": (servers.answers(204), "answers 204 No Content"),
    "500": (servers.answers(500), r"answers 500 Internal Server Error \(2 tries\)"),
    "429 for an hour": (servers.answers(429, Retry_After="3600"), r"answers 429 Too Many Requests \(2 tries\)"),
    "HTML": (servers.sends(b"\n<!doctype html><title>Sign in</title>"), "an HTML page instead of the text"),
    "wrong bytes": (servers.sends(TEXT.lower()), r"other bytes instead of the text \(SHA-256 \w{12}\.\.\., expected"),
    "empty": (servers.sends(b""), "other bytes instead of the text"),
    "floods": (servers.floods, "sends more than the 100,000 bytes allowed"),
    "redirects for ever": (servers.redirects("/{hit}"), "redirects more than 3 times"),
    "redirects, endless body": (servers.redirects_with_endless_body, "redirects more than 3 times"),
    "redirects to itself": (servers.redirects("/tale.txt"), "redirects more than 3 times"),
    "redirects to nonsense": (servers.redirects("http://[oops"), "redirects to a malformed address"),
    "redirects to a file": (servers.redirects("file:///etc/passwd"), "No connection adapters"),
}


@pytest.mark.parametrize(("answer", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_misbehaving_source_is_named_and_the_next_one_used(
    answer: servers.Answer, reason: str, destination: Path, corpora_dir: Path
) -> None:
    with servers.serve(answer) as bad, servers.serve(servers.sends(TEXT)) as good:
        bad_url, good_url = f"{bad.url}/tale.txt", f"{good.url}/tale.txt"
        limits = IN_A_SECOND if "within 1 s" in reason else LIMITS
        message = failure(corpus_at(bad_url), destination, corpora_dir, limits)
        assert re.search(rf"^  {re.escape(bad_url)}: .*({reason}).*;$", message, re.MULTILINE), message
        source = fetch_registered(corpus_at(bad_url, good_url), destination, corpora_dir, None, limits)
        assert source.startswith(good_url)
        assert bad_url in source
        assert "\n" not in source
    assert destination.read_bytes() == TEXT


def test_a_source_that_refuses_the_connection(destination: Path, corpora_dir: Path) -> None:
    url = servers.refusing_url()
    message = failure(corpus_at(url), destination, corpora_dir)
    assert f"{url}: Connection refused (2 tries)" in message


def test_every_source_and_every_way_out_is_named(destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.answers(404)) as first, servers.serve(servers.answers(410)) as second:
        message = failure(corpus_at(first.url, second.url), destination, corpora_dir)
    local = corpora_dir / "tale.txt"
    assert message.splitlines() == [
        "no source has the corpus tale:",
        f"  {local}: no such file;",
        f"  {first.url}: answers 404 Not Found;",
        f"  {second.url}: answers 410 Gone;",
        "ways out: set CORPUS_MIRROR to a folder or base URL that holds tale.txt, "
        f"put the file at {local}, or choose corpus.name: sample in params.yaml",
    ]


@pytest.mark.parametrize(
    "first",
    [servers.answers(500), servers.answers(503), servers.truncates(TEXT), servers.sleeps],
    ids=["500", "503", "cut", "silent"],
)
def test_a_passing_fault_is_tried_again(first: servers.Answer, destination: Path, corpora_dir: Path) -> None:
    with servers.serve(first, servers.sends(TEXT)) as server:
        assert fetch_registered(corpus_at(server.url), destination, corpora_dir, None, LIMITS) == server.url
    assert destination.read_bytes() == TEXT
    assert len(server.hits) == 2


def test_pauses_grow(destination: Path, corpora_dir: Path) -> None:
    limits = Limits(tries=4, backoff_seconds=0.1)
    with servers.serve(servers.answers(503)) as server:
        failure(corpus_at(server.url), destination, corpora_dir, limits)
    pauses = server.pauses()
    assert len(pauses) == 3
    for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True):
        assert least <= pause < least + SLACK_SECONDS


@pytest.mark.parametrize(
    ("retry_after", "limit", "least"),
    [
        ("1", 30, 1.0),
        ("3600", 0.4, 0.4),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 0.4, 0.4),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 30, 0.02),
        ("soon", 30, 0.02),
        ("-5", 30, 0.02),
    ],
    ids=["a second", "an hour", "a date to come", "a date gone by", "a word", "a negative number"],
)
def test_retry_after_is_honoured_up_to_a_limit(
    retry_after: str, limit: float, least: float, destination: Path, corpora_dir: Path
) -> None:
    limits = Limits(tries=2, backoff_seconds=0.02, retry_after_seconds=limit, total_seconds=60)
    with servers.serve(servers.answers(429, Retry_After=retry_after), servers.sends(TEXT)) as server:
        fetch_registered(corpus_at(server.url), destination, corpora_dir, None, limits)
    assert destination.read_bytes() == TEXT
    assert least <= server.pauses()[0] < least + SLACK_SECONDS


def test_no_pause_outlasts_the_total_time(destination: Path, corpora_dir: Path) -> None:
    limits = Limits(tries=5, total_seconds=1.5, retry_after_seconds=60)
    start = time.monotonic()
    with servers.serve(servers.answers(429, Retry_After="30")) as server:
        message = failure(corpus_at(server.url), destination, corpora_dir, limits)
    assert "answers 429 Too Many Requests;" in message
    assert time.monotonic() - start < limits.total_seconds + SLACK_SECONDS


def test_what_does_not_pass_is_not_tried_again(destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.answers(404)) as absent, servers.serve(servers.sends(b"wrong")) as wrong:
        failure(corpus_at(absent.url, wrong.url), destination, corpora_dir)
    assert (len(absent.hits), len(wrong.hits)) == (1, 1)


def test_https_and_redirects_within_it_are_followed(trusted: Path, destination: Path, corpora_dir: Path) -> None:
    chain = (servers.redirects("/moved"), servers.redirects("/again"), servers.sends(TEXT))
    with servers.serve(*chain, certificate=trusted) as server:
        fetch_registered(corpus_at(f"{server.url}/tale.txt"), destination, corpora_dir, None, LIMITS)
    assert [path for _, path in server.hits] == ["/tale.txt", "/moved", "/again"]
    assert destination.read_bytes() == TEXT


def test_a_redirect_from_https_to_http_is_refused(trusted: Path, destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.sends(TEXT)) as plain:
        for target in (plain.url, plain.url.replace("http", "HtTp")):
            with servers.serve(servers.redirects(target), certificate=trusted) as server:
                message = failure(corpus_at(server.url), destination, corpora_dir)
                assert f"{server.url}: redirects from HTTPS to an address without it: refused" in message
    assert plain.hits == []


def test_an_untrusted_certificate_is_refused(certificate: Path, destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.sends(TEXT), certificate=certificate) as server:
        message = failure(corpus_at(server.url), destination, corpora_dir)
    assert "certificate verify failed" in message
    assert "tries" not in message
    assert server.hits == []


def test_nothing_is_printed_without_a_terminal(
    destination: Path, corpora_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with servers.serve(servers.sends(TEXT)) as server:
        fetch_registered(corpus_at(server.url), destination, corpora_dir, None, LIMITS)
    assert capfd.readouterr() == ("", "")


def test_a_killed_download_leaves_the_old_file(destination: Path, corpora_dir: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lstm_lm.corpus.registry import fetch\n"
        "fetch('time_machine', Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    )
    with servers.serve(servers.drips(TEXT)) as server:
        command = [sys.executable, "-c", program, str(destination), str(corpora_dir), server.url]
        with subprocess.Popen(command) as process:
            while not server.hits and process.poll() is None:
                time.sleep(0.02)
            time.sleep(0.2)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert destination.read_bytes() == OLD
    assert list(destination.parent.iterdir()) == [destination]


def test_the_local_copy_comes_first(destination: Path, corpora_dir: Path) -> None:
    (corpora_dir / "tale.txt").write_bytes(TEXT)
    with servers.serve(servers.sends(TEXT)) as server:
        source = fetch_registered(corpus_at(server.url), destination, corpora_dir, server.url, LIMITS)
    assert source == str(corpora_dir / "tale.txt")
    assert destination.read_bytes() == TEXT
    assert server.hits == []


def test_a_wrong_local_copy_is_reported_and_passed_over(destination: Path, corpora_dir: Path) -> None:
    (corpora_dir / "tale.txt").write_bytes(TEXT[1:])
    with servers.serve(servers.sends(TEXT)) as server:
        source = fetch_registered(corpus_at(server.url), destination, corpora_dir, None, LIMITS)
    assert source.startswith(f"{server.url}; not from {corpora_dir / 'tale.txt'}: other bytes instead of the text")
    assert destination.read_bytes() == TEXT


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_comes_before_the_registered_addresses(ending: str, destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.sends(TEXT)) as mirror, servers.serve(servers.sends(TEXT)) as registered:
        base = f"{mirror.url}/texts{ending}"
        source = fetch_registered(corpus_at(registered.url), destination, corpora_dir, base, LIMITS)
    assert source == f"{mirror.url}/texts/tale.txt"
    assert [path for _, path in mirror.hits] == ["/texts/tale.txt"]
    assert registered.hits == []


def test_a_mirror_can_be_a_folder(tmp_path: Path, destination: Path, corpora_dir: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "tale.txt").write_bytes(TEXT)
    source = fetch_registered(corpus_at(), destination, corpora_dir, str(tmp_path / "mirror"), LIMITS)
    assert source == str(tmp_path / "mirror" / "tale.txt")
    assert destination.read_bytes() == TEXT


def test_a_password_in_a_mirror_is_not_shown(destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.answers(404)) as server:
        mirror = server.url.replace("//", "//reader:secret@")
        with pytest.raises(CorpusUnavailable, match=f"{server.url}/tale.txt: answers 404") as caught:
            fetch_registered(corpus_at(), destination, corpora_dir, mirror, LIMITS)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mirror", ["https://", "http://[", "no/such/folder", "ftp://127.0.0.1", "http://a b/"])
def test_a_mirror_that_makes_no_sense_is_one_failed_source(mirror: str, destination: Path, corpora_dir: Path) -> None:
    with servers.serve(servers.sends(TEXT)) as server:
        source = fetch_registered(corpus_at(server.url), destination, corpora_dir, mirror, LIMITS)
    assert source.startswith(server.url)


@pytest.mark.parametrize("content", [b"caf\xe9 \x00\r\n", b"\xef\xbb\xbfbom", b"x"])
def test_the_users_own_text_is_taken_as_it_is(content: bytes, destination: Path, corpora_dir: Path) -> None:
    (corpora_dir / "my_text-2.v1.txt").write_bytes(content)
    assert fetch("my_text-2.v1", destination, corpora_dir, None) == str(corpora_dir / "my_text-2.v1.txt")
    assert destination.read_bytes() == content


def unusable_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that cannot be a corpus (even for a superuser), and what is said of each."""
    (folder / "folder.txt").mkdir()
    yield folder / "folder.txt", "a folder or device, not a file"
    (folder / "empty.txt").touch()
    yield folder / "empty.txt", "empty"
    (folder / "endless.txt").symlink_to("/dev/zero")
    yield folder / "endless.txt", "a folder or device, not a file"
    (folder / "loop.txt").symlink_to("loop.txt")
    yield folder / "loop.txt", r"cannot be read \(.*[Ss]ymbolic links.*\)"
    if os.geteuid() != 0:
        (folder / "secret.txt").touch(mode=0o000)
        yield folder / "secret.txt", r"cannot be read \(Permission denied\)"


def test_a_file_that_cannot_be_used_is_refused_in_one_line(destination: Path, corpora_dir: Path) -> None:
    for path, reason in unusable_files(corpora_dir):
        with pytest.raises(OSError, match=rf"{path}: {reason}; put a readable text file there") as caught:
            fetch(path.stem, destination, corpora_dir, None)
        assert "\n" not in str(caught.value)
    assert destination.read_bytes() == OLD


def test_an_unknown_name_says_what_there_is(destination: Path, corpora_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_bytes(TEXT)  # a mirror cannot vouch for bytes that nobody registered
    with pytest.raises(ValueError, match="time_machine, tiny_shakespeare, sample") as caught:
        fetch("novel", destination, corpora_dir, str(tmp_path))
    assert str(corpora_dir / "novel.txt") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert destination.read_bytes() == OLD


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "../up", "a/b", "a\\b", "/etc/passwd", "a\n", "a\0b", "-x"])
def test_a_name_that_is_no_file_stem_is_refused(name: str, destination: Path, corpora_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"^corpus\.name: .* must be a plain file name") as caught:
        fetch(name, destination, corpora_dir, None)
    assert "\n" not in str(caught.value)


def test_an_unwritable_destination_is_not_a_sources_fault(tmp_path: Path, corpora_dir: Path) -> None:
    (corpora_dir / "tale.txt").write_bytes(TEXT)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*corpus\.txt") as caught:
        fetch_registered(corpus_at(), tmp_path / "file" / "corpus.txt", corpora_dir, None)
    assert not isinstance(caught.value, CorpusUnavailable)


def test_the_registry_is_well_formed() -> None:
    for name, corpus in REGISTRY.items():
        assert corpus.name == name
        assert re.fullmatch("[0-9a-f]{64}", corpus.sha256)
        assert all(url.startswith("https://") for url in corpus.urls)
        assert corpus.licence


def test_the_sample_is_a_long_connected_text(destination: Path) -> None:
    fetch("sample", destination, ROOT / "data" / "corpora", None)
    text = destination.read_bytes().decode("ascii")
    paragraphs = text.strip().split("\n\n")
    prose = [paragraph for paragraph in paragraphs if len(paragraph) > 10]  # headings are numerals
    assert len(normalize(text)) >= 24_000
    assert len(set(prose)) == len(prose) > 50
    assert max(len(line) for line in text.splitlines()) <= 70


def test_a_damaged_sample_says_how_to_get_it_back(destination: Path, corpora_dir: Path) -> None:
    (corpora_dir / "sample.txt").write_bytes(b"edited")
    with pytest.raises(CorpusUnavailable, match=r"git checkout -- .*sample\.txt"):
        fetch(SAMPLE.name, destination, corpora_dir, None)


@pytest.mark.parametrize("name", [name for name in REGISTRY if name != SAMPLE.name])
def test_a_real_corpus_has_its_digest(name: str, destination: Path, corpora_dir: Path) -> None:
    mirror = os.environ.get("CORPUS_MIRROR")
    if not mirror:
        pytest.skip("needs the real corpora: set CORPUS_MIRROR to a folder or base URL that holds them")
    fetch(name, destination, corpora_dir, mirror)
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == REGISTRY[name].sha256
