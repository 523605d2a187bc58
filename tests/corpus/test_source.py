"""Corpora come whole and right, or not at all and with a reason, whatever the source does."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

import servers
from corpora import write_record
from lstm_lm.corpus.download import Limits
from lstm_lm.corpus.source import CorpusUnavailable, Sources, fetch
from lstm_lm.tokens.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
TEXT = b"The Time Traveller (for so it will be convenient to speak of him)\r\n" * 50
OLD = b"an older text"
LIMITS = Limits(
    connect_seconds=2.0,
    read_seconds=0.5,
    total_seconds=20.0,
    tries=2,
    backoff_seconds=0.02,
    retry_after_seconds=1,
    redirects=3,
)
IN_A_SECOND = replace(LIMITS, total_seconds=1.0)
SLACK_SECONDS = 2.0
"""What a busy machine may add to a bounded time."""


@dataclass
class Shelf:
    """The folder of the records, with that of the corpus "tale", and the place its file goes to."""

    corpora: Path
    destination: Path

    def bring(self, *urls: str, mirror: str = "", limits: Limits = LIMITS) -> str:
        """Fetch the tale, which its record says to be at `urls`; where it came from."""
        write_record(self.corpora, "tale", {"corpus": TEXT}, *urls)
        [origin] = fetch("tale", self.destination.parent, Sources(self.corpora, mirror, limits=limits))
        return origin

    def failure(self, *urls: str, mirror: str = "", limits: Limits = LIMITS) -> str:
        """The message of a fetch that must fail, leave the old file alone and nothing else behind, and end in time."""
        start = time.monotonic()
        with pytest.raises(CorpusUnavailable) as caught:
            self.bring(*urls, mirror=mirror, limits=limits)
        assert time.monotonic() - start < limits.total_seconds * len(urls) + SLACK_SECONDS
        assert self.destination.read_bytes() == OLD
        assert list(self.destination.parent.iterdir()) == [self.destination]
        return str(caught.value)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is not behind a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "corpora", tmp_path / "raw" / "corpus.txt")
    shelf.corpora.mkdir()
    shelf.destination.parent.mkdir()
    shelf.destination.write_bytes(OLD)
    return shelf


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    servers.make_certificate(path)
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


MISBEHAVIOUR = {
    "silent": (servers.sleeps, r"timed out"),
    "drips": (servers.drips(TEXT), "not complete within 1 s"),
    "drips headers": (servers.drips_headers, "not complete within 1 s"),
    "truncates": (servers.truncates(TEXT), r"IncompleteRead\(1675 bytes read, 1675 more expected\)"),
    "truncates, no length": (servers.truncates_without_length(TEXT), "other bytes instead of the text"),
    "404": (servers.answers(404), "answers 404 Not Found"),
    "204": (servers.answers(204), "answers 204 No Content"),
    "500": (servers.answers(500), r"answers 500 Internal Server Error"),
    "429 for an hour": (servers.answers(429, Retry_After="3600"), r"answers 429 Too Many Requests"),
    "HTML": (servers.sends(b"\n<!doctype html><title>Sign in</title>"), "an HTML page instead of the text"),
    "wrong bytes": (servers.sends(TEXT.lower()), r"other bytes instead of the text \(SHA-256 \w{12}\.\.\., expected"),
    "empty": (servers.sends(b""), "empty"),
    "no time to retry after": (servers.answers(503, Retry_After="soon"), "Invalid Retry-After header: soon"),
    "floods": (servers.floods, "more than the 3,350 bytes of the text"),
    "redirects for ever": (servers.redirects("/{hit}"), "redirects more than 3 times"),
    "redirects, endless body": (servers.redirects_with_endless_body, "redirects more than 3 times"),
    "redirects to itself": (servers.redirects("/tale.txt"), "redirects more than 3 times"),
    "redirects to nonsense": (servers.redirects("http://[oops"), "redirects to a malformed address"),
    "redirects to a file": (servers.redirects("file:///etc/passwd"), "No connection adapters"),
}


@pytest.mark.parametrize(("answer", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_misbehaving_source_is_named_and_the_next_one_used(answer: servers.Answer, reason: str, shelf: Shelf) -> None:
    with servers.serve(answer) as bad, servers.serve(servers.sends(TEXT)) as good:
        bad_url, good_url = f"{bad.url}/tale.txt", f"{good.url}/tale.txt"
        limits = IN_A_SECOND if "within 1 s" in reason else LIMITS
        message = shelf.failure(bad_url, limits=limits)
        assert re.search(rf"^  {re.escape(bad_url)}: .*({reason}).*;$", message, re.MULTILINE), message
        source = shelf.bring(bad_url, good_url, limits=limits)
        assert source.startswith(good_url)
        assert bad_url in source
        assert "\n" not in source
    assert shelf.destination.read_bytes() == TEXT


def test_a_source_that_refuses_the_connection(shelf: Shelf) -> None:
    url = servers.refusing_url()
    message = shelf.failure(url)
    assert f"{url}: Connection refused;" in message


def test_every_source_and_every_way_out_is_named(shelf: Shelf) -> None:
    with servers.serve(servers.answers(404)) as first, servers.serve(servers.answers(410)) as second:
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


@pytest.mark.parametrize(
    "first",
    [servers.answers(500), servers.answers(503), servers.truncates(TEXT), servers.sleeps],
    ids=["500", "503", "cut", "silent"],
)
def test_a_passing_fault_is_tried_again(first: servers.Answer, shelf: Shelf) -> None:
    with servers.serve(first, servers.sends(TEXT)) as server:
        assert shelf.bring(server.url) == server.url
    assert shelf.destination.read_bytes() == TEXT
    assert len(server.hits) == 2


def test_pauses_grow(shelf: Shelf) -> None:
    limits = Limits(tries=4, backoff_seconds=0.1)
    with servers.serve(servers.answers(503)) as server:
        shelf.failure(server.url, limits=limits)
    pauses = server.pauses()
    assert len(pauses) == 3
    for pause, least in zip(pauses, (0.0, 0.2, 0.4), strict=True):
        assert least <= pause < least + SLACK_SECONDS


@pytest.mark.parametrize(
    ("retry_after", "limit", "least"),
    [
        ("1", 30, 1.0),
        ("3600", 1, 1.0),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 1, 1.0),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 30, 0.0),
    ],
    ids=["a second", "an hour", "a date to come", "a date gone by"],
)
def test_retry_after_is_honoured_up_to_a_limit(retry_after: str, limit: int, least: float, shelf: Shelf) -> None:
    limits = Limits(tries=2, backoff_seconds=0.02, retry_after_seconds=limit, total_seconds=60)
    with servers.serve(servers.answers(429, Retry_After=retry_after), servers.sends(TEXT)) as server:
        shelf.bring(server.url, limits=limits)
    assert shelf.destination.read_bytes() == TEXT
    assert least <= server.pauses()[0] < least + SLACK_SECONDS


def test_no_pause_outlasts_the_total_time(shelf: Shelf) -> None:
    limits = Limits(tries=5, total_seconds=1.5, retry_after_seconds=60)
    start = time.monotonic()
    with servers.serve(servers.answers(429, Retry_After="30")) as server:
        message = shelf.failure(server.url, limits=limits)
    assert "not complete within 2 s" in message
    assert time.monotonic() - start < limits.total_seconds + SLACK_SECONDS


def test_what_does_not_pass_is_not_tried_again(shelf: Shelf) -> None:
    with servers.serve(servers.answers(404)) as absent, servers.serve(servers.sends(b"wrong")) as wrong:
        shelf.failure(absent.url, wrong.url)
    assert (len(absent.hits), len(wrong.hits)) == (1, 1)


def test_https_and_redirects_within_it_are_followed(trusted: Path, shelf: Shelf) -> None:
    chain = (servers.redirects("/moved"), servers.redirects("/again"), servers.sends(TEXT))
    with servers.serve(*chain, certificate=trusted) as server:
        shelf.bring(f"{server.url}/tale.txt")
    assert [path for _, path in server.hits] == ["/tale.txt", "/moved", "/again"]
    assert shelf.destination.read_bytes() == TEXT


def test_a_redirect_from_https_to_http_is_refused(trusted: Path, shelf: Shelf) -> None:
    with servers.serve(servers.sends(TEXT)) as plain:
        for target in (plain.url, plain.url.replace("http", "HtTp")):
            with servers.serve(servers.redirects(target), certificate=trusted) as server:
                message = shelf.failure(server.url)
                assert f"{server.url}: redirects from HTTPS to an address without it: refused" in message
    assert plain.hits == []


def test_an_untrusted_certificate_is_refused(certificate: Path, shelf: Shelf) -> None:
    with servers.serve(servers.sends(TEXT), certificate=certificate) as server:
        message = shelf.failure(server.url)
    assert "certificate verify failed" in message
    assert server.hits == []


def test_nothing_is_printed_without_a_terminal(shelf: Shelf, capfd: pytest.CaptureFixture[str]) -> None:
    with servers.serve(servers.sends(TEXT)) as server:
        shelf.bring(server.url)
    assert capfd.readouterr() == ("", "")


def test_a_killed_download_leaves_the_old_file(shelf: Shelf) -> None:
    program = (
        "import sys; from pathlib import Path; from lstm_lm.corpus.source import Sources, fetch\n"
        "fetch('tale', Path(sys.argv[1]), Sources(Path(sys.argv[2])))"
    )
    with servers.serve(servers.drips(TEXT), servers.sends(TEXT)) as server:
        write_record(shelf.corpora, "tale", {"corpus": TEXT}, server.url)
        command = [sys.executable, "-c", program, str(shelf.destination.parent), str(shelf.corpora)]
        with subprocess.Popen(command) as process:
            while not server.hits and process.poll() is None:
                time.sleep(0.02)
            time.sleep(0.2)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert shelf.destination.read_bytes() == OLD
        shelf.bring(server.url)
    assert list(shelf.destination.parent.iterdir()) == [shelf.destination]
    assert shelf.destination.read_bytes() == TEXT


def test_the_local_copy_comes_first(shelf: Shelf) -> None:
    (shelf.corpora / "tale.txt").write_bytes(TEXT)
    with servers.serve(servers.sends(TEXT)) as server:
        source = shelf.bring(server.url, mirror=server.url)
    assert source == str(shelf.corpora / "tale.txt")
    assert shelf.destination.read_bytes() == TEXT
    assert server.hits == []


def test_a_wrong_local_copy_is_reported_and_passed_over(shelf: Shelf) -> None:
    (shelf.corpora / "tale.txt").write_bytes(TEXT[1:])
    with servers.serve(servers.sends(TEXT)) as server:
        source = shelf.bring(server.url)
    assert source.startswith(f"{server.url}; not from {shelf.corpora / 'tale.txt'}: other bytes instead of the text")
    assert shelf.destination.read_bytes() == TEXT


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_comes_before_the_registered_addresses(ending: str, shelf: Shelf) -> None:
    with servers.serve(servers.sends(TEXT)) as mirror, servers.serve(servers.sends(TEXT)) as registered:
        base = f"{mirror.url}/texts{ending}"
        source = shelf.bring(registered.url, mirror=base)
    assert source == f"{mirror.url}/texts/tale.txt"
    assert [path for _, path in mirror.hits] == ["/texts/tale.txt"]
    assert registered.hits == []


def test_a_mirror_can_be_a_folder(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "tale.txt").write_bytes(TEXT)
    source = shelf.bring(mirror=str(tmp_path / "mirror"))
    assert source == str(tmp_path / "mirror" / "tale.txt")
    assert shelf.destination.read_bytes() == TEXT


def test_a_password_in_a_mirror_is_not_shown(shelf: Shelf) -> None:
    with servers.serve(servers.answers(404)) as server:
        mirror = server.url.replace("//", "//reader:secret@")
        with pytest.raises(CorpusUnavailable, match=f"{server.url}/tale.txt: answers 404") as caught:
            shelf.bring(mirror=mirror)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mirror", ["https://", "http://[", "no/such/folder", "ftp://127.0.0.1", "http://a b/"])
def test_a_mirror_that_makes_no_sense_is_one_failed_source(mirror: str, shelf: Shelf) -> None:
    with servers.serve(servers.sends(TEXT)) as server:
        source = shelf.bring(server.url, mirror=mirror)
    assert source.startswith(server.url)


def unusable_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that cannot be a corpus (even for a superuser), and what is said of each."""
    (folder / "folder.txt").mkdir()
    yield folder / "folder.txt", "a folder or device, not a file"
    (folder / "empty.txt").touch()
    yield folder / "empty.txt", "empty"
    (folder / "edited.txt").write_bytes(TEXT + b"edited")
    yield folder / "edited.txt", "more than the 3,350 bytes of the text"
    (folder / "endless.txt").symlink_to("/dev/zero")
    yield folder / "endless.txt", "a folder or device, not a file"
    (folder / "loop.txt").symlink_to("loop.txt")
    yield folder / "loop.txt", r"cannot be read \(.*[Ss]ymbolic links.*\)"
    yield folder / "missing.txt", "no such file"
    if os.geteuid() != 0:
        (folder / "secret.txt").touch(mode=0o000)
        yield folder / "secret.txt", r"cannot be read \(Permission denied\)"


def test_a_users_text_that_cannot_be_used_is_refused_with_the_ways_out(shelf: Shelf) -> None:
    for path, reason in unusable_files(shelf.corpora):
        write_record(shelf.corpora, path.stem, {"corpus": TEXT})
        with pytest.raises(CorpusUnavailable, match=rf"{path}: {reason};\n") as caught:
            fetch(path.stem, shelf.destination.parent, Sources(shelf.corpora))
        assert str(caught.value).splitlines()[-1] == (
            f"ways out: bring {path} back (git checkout or dvc pull), or, if the text was changed on purpose, "
            f"write its new record with make corpus FILE={path}"
        )
    assert shelf.destination.read_bytes() == OLD


PARTS = {"train": b"one two three", "valid": b"four", "test": b"five"}


def test_a_corpus_of_three_files_takes_the_place_of_one(shelf: Shelf, tmp_path: Path) -> None:
    write_record(shelf.corpora, "triple", PARTS)
    (tmp_path / "mirror").mkdir()
    for part, content in PARTS.items():
        (tmp_path / "mirror" / f"triple.{part}.txt").write_bytes(content)
    raw = shelf.destination.parent
    origins = fetch("triple", raw, Sources(shelf.corpora, str(tmp_path / "mirror")))
    assert origins == [str(tmp_path / "mirror" / f"triple.{part}.txt") for part in PARTS]
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {f"{part}.txt": PARTS[part] for part in PARTS}


def test_of_three_files_all_come_or_none(shelf: Shelf) -> None:
    write_record(shelf.corpora, "triple", PARTS)
    for part in ("train", "valid"):
        (shelf.corpora / f"triple.{part}.txt").write_bytes(PARTS[part])
    with pytest.raises(CorpusUnavailable, match=r"no source has triple\.test\.txt"):
        fetch("triple", shelf.destination.parent, Sources(shelf.corpora))
    assert list(shelf.destination.parent.iterdir()) == [shelf.destination]
    assert shelf.destination.read_bytes() == OLD


def test_a_full_disk_leaves_all_of_three_files_as_they_were(shelf: Shelf) -> None:
    parts = PARTS | {"train": b"more than the disk holds"}
    write_record(shelf.corpora, "triple", parts)
    for part, content in parts.items():
        (shelf.corpora / f"triple.{part}.txt").write_bytes(content)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"^cannot write .*train\.txt: File too large$"):
            fetch("triple", shelf.destination.parent, Sources(shelf.corpora))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(shelf.destination.parent.iterdir()) == [shelf.destination]
    assert shelf.destination.read_bytes() == OLD


def test_a_relative_mirror_counts_from_the_workspace(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tmp_path / "project/.dvc/tmp/exps/standalone/copy"
    experiment.mkdir(parents=True)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/tale.txt").write_bytes(TEXT)
    for folder in (tmp_path / "project", experiment):
        monkeypatch.chdir(folder)
        assert shelf.bring(mirror="../mirror") == str(tmp_path / "project/../mirror/tale.txt")


def test_an_experiment_elsewhere_takes_the_workspaces_untracked_text(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tmp_path / "project/.dvc/tmp/exps/copy"
    for folder in (experiment, tmp_path / "project"):
        (folder / "data/corpora").mkdir(parents=True)
    monkeypatch.chdir(experiment)
    write_record(Path("data/corpora"), "tale", {"corpus": TEXT})
    text = tmp_path / "project/data/corpora/tale.txt"
    sources = Sources(Path("data/corpora"))
    with pytest.raises(CorpusUnavailable, match=f"{text}: no such file"):
        fetch("tale", shelf.destination.parent, sources)
    text.write_bytes(TEXT)
    assert fetch("tale", shelf.destination.parent, sources) == [str(text)]


def test_an_unwritable_destination_is_not_a_sources_fault(tmp_path: Path, shelf: Shelf) -> None:
    (shelf.corpora / "tale.txt").write_bytes(TEXT)
    write_record(shelf.corpora, "tale", {"corpus": TEXT})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*corpus\.txt"):
        fetch("tale", tmp_path / "file", Sources(shelf.corpora))


def test_a_full_disk_is_one_line_and_leaves_nothing(shelf: Shelf) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from lstm_lm.corpus.source import Sources, fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: fetch('tale', Path(sys.argv[1]), Sources(Path(sys.argv[2])))\n"
        "except OSError as error: sys.exit(str(error))"
    )
    with servers.serve(servers.sends(TEXT)) as server:
        write_record(shelf.corpora, "tale", {"corpus": TEXT}, server.url)
        command = [sys.executable, "-c", program, str(shelf.destination.parent), str(shelf.corpora)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == f"cannot write {shelf.destination}: File too large\n"
    assert list(shelf.destination.parent.iterdir()) == [shelf.destination]
    assert shelf.destination.read_bytes() == OLD


MEBIBYTE = bytes(range(256)) * 4096


def streams(count: int) -> servers.Answer:
    """So many MiB."""

    def answer(handler: servers.Handler) -> None:
        handler.begin(200, Content_Length=str(count * len(MEBIBYTE)))
        for _ in range(count):
            handler.wfile.write(MEBIBYTE)

    return answer


def test_a_download_needs_little_memory(shelf: Shelf) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from lstm_lm.corpus.source import Sources, fetch\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "fetch('small', Path(sys.argv[1]), Sources(Path(sys.argv[2])))\n"
        "before = peak(); fetch('large', Path(sys.argv[1]), Sources(Path(sys.argv[2]))); print(peak() - before)"
    )
    with servers.serve(streams(1), streams(64)) as server:
        write_record(shelf.corpora, "small", {"corpus": MEBIBYTE}, server.url)
        write_record(shelf.corpora, "large", {"corpus": MEBIBYTE * 64}, server.url)
        command = [sys.executable, "-c", program, str(shelf.destination.parent), str(shelf.corpora)]
        grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert shelf.destination.stat().st_size == 64 * len(MEBIBYTE)
    assert grown < 30 * 1024  # KiB


def test_the_sample_is_a_long_connected_text(shelf: Shelf) -> None:
    fetch("sample", shelf.destination.parent, Sources(ROOT / "data/corpora"))
    text = shelf.destination.read_bytes().decode("ascii")
    paragraphs = text.strip().split("\n\n")
    prose = [paragraph for paragraph in paragraphs if len(paragraph) > 10]  # headings are numerals
    assert len(Tokenizer("char", "letters").normalize(text)) >= 24_000
    assert len(set(prose)) == len(prose) > 50
    assert max(len(line) for line in text.splitlines()) <= 70


@pytest.mark.parametrize("name", ["time_machine", "tiny_shakespeare", "ptb"])
def test_a_real_corpus_has_its_digest(name: str, shelf: Shelf) -> None:
    mirror = os.environ.get("CORPUS_MIRROR")
    if not mirror:
        pytest.skip("needs the real corpora: set CORPUS_MIRROR to a folder or base URL that holds them")
    fetch(name, shelf.destination.parent, Sources(ROOT / "data/corpora", mirror))
