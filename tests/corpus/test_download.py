"""A download is whole and right, or one line says why not, whatever the server does."""

import itertools
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from corpora import LIMITS, OLD, SLACK_SECONDS, TEXT, Shelf, write_record
from lstm_lm.core.device import PROCESS
from lstm_lm.corpus.download import RETRY, Limits
from servers import Answer, Handler, Server, sends, serve

HALF = sends(TEXT[: len(TEXT) // 2], Content_Length=len(TEXT))
SILENCE = sends(status=None, pause=60)
ENDLESS = itertools.repeat(b"time traveller " * 1000)


def redirects(location: str, blocks: Iterable[bytes] = ()) -> Answer:
    return sends(blocks=blocks, status=302, Location=location)


MISBEHAVIOUR = {
    "silent": (SILENCE, "timed out"),
    "hangs up": (sends(status=None), "Remote end closed connection without response"),
    "drips": (sends(blocks=[bytes([byte]) for byte in TEXT], pause=0.02), "not complete within 1 s"),
    "drips headers": (
        sends(b"HTTP/1.0 200 OK\r\nX-Endless: ", itertools.repeat(b"x"), status=None, pause=0.02),
        "not complete within 1 s",
    ),
    "truncates": (HALF, "IncompleteRead(67000 bytes read, 67000 more expected)"),
    "truncates, no length": (sends(TEXT[: len(TEXT) // 2]), "other bytes instead of the text (SHA-256 "),
    "404": (sends(status=404), "answers 404 Not Found"),
    "204": (sends(status=204), "answers 204 No Content"),
    "500": (sends(status=500), "answers 500 Internal Server Error"),
    "429 for an hour": (sends(status=429, Retry_After="3600"), "answers 429 Too Many Requests"),
    "another's words": (sends(b"HTTP/1.0 404 \x1b[2J\x9b31m\r\n\r\n", status=None), "answers 404 Not Found"),
    "escape sequences": (sends(b"\x1b]0;title\x07\r\n", status=None), r"\x1b]0;title\x07"),
    "HTML": (sends(b"\n<!doctype html><title>Sign in</title>"), "an HTML page instead of the text (SHA-256 "),
    "empty": (sends(), "an empty file instead of the text (SHA-256 "),
    "no time to retry after": (sends(status=503, Retry_After="soon"), "Invalid Retry-After header: soon"),
    "floods": (sends(blocks=ENDLESS), "more than the 134,000 bytes of the text"),
    "redirects for ever": (redirects("on/"), "Exceeded 5 redirects."),
    "redirects, endless body": (redirects("/tale.txt", ENDLESS), "Exceeded 5 redirects."),
    "redirects to nonsense": (redirects("http://[oops"), "redirects to a malformed address (Invalid IPv6 URL)"),
    "redirects to no port": (redirects("http://127.0.0.1:99999/"), "Port out of range 0-65535"),
    "redirects to no name": (redirects("http://a..localhost/"), "Failed to parse: "),
    "redirects to a file": (redirects("file:///etc/passwd"), "No connection adapters were found for 'file:///etc/p"),
}


@pytest.mark.parametrize(("answer", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_misbehaving_source_is_named_and_the_next_one_used(answer: Answer, reason: str, shelf: Shelf) -> None:
    limits = replace(LIMITS, total_seconds=0.5) if "within 1 s" in reason else LIMITS
    with serve(answer) as bad, serve(sends(TEXT)) as good:
        urls = [f"{server.url}/tale.txt" for server in (bad, good)]
        [line] = re.findall(rf"^  {re.escape(urls[0])}: (.*);$", shelf.failure(urls[0], limits=limits), re.MULTILINE)
        assert reason in line
        assert line.isprintable()
        assert shelf.bring(*urls, limits=limits) == f"{urls[1]}; not from {urls[0]}: {line}"


@pytest.mark.parametrize(
    "first", [sends(status=500), sends(status=503), HALF, SILENCE], ids=["500", "503", "cut", "silent"]
)
def test_a_passing_fault_is_tried_again(first: Answer, shelf: Shelf) -> None:
    with serve(first, sends(TEXT)) as server:
        assert shelf.bring(server.url) == server.url
    assert len(server.hits) == 2


def test_what_does_not_pass_is_not_tried_again(shelf: Shelf) -> None:
    with serve(sends(status=404)) as absent, serve(sends(b"wrong")) as wrong:
        shelf.failure(absent.url, wrong.url)
    assert (len(absent.hits), len(wrong.hits)) == (1, 1)


def pauses(server: Server) -> list[float]:
    """Seconds between each request and the next."""
    return [later - sooner for (sooner, _), (later, _) in itertools.pairwise(server.hits)]


def test_pauses_grow(shelf: Shelf) -> None:
    with serve(sends(status=503)) as server:
        shelf.failure(server.url, limits=Limits(retry=RETRY.new(total=3, backoff_factor=0.1)))
    for pause, least in zip(pauses(server), (0.0, 0.2, 0.4), strict=True):
        assert least <= pause < least + SLACK_SECONDS


def date(hours: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "limit", "least"),
    [("1", 30, 1.0), ("3600", 1, 1.0), (date(+1), 1, 1.0), (date(-1), 30, 0.0)],
    ids=["a second", "an hour", "a date to come", "a date gone by"],
)
def test_retry_after_is_honoured_up_to_a_limit(retry_after: str, limit: int, least: float, shelf: Shelf) -> None:
    with serve(sends(status=429, Retry_After=retry_after), sends(TEXT)) as server:
        shelf.bring(server.url, limits=Limits(retry=RETRY.new(backoff_factor=0.02, retry_after_max=limit)))
    assert least <= pauses(server)[0] < least + SLACK_SECONDS


def test_no_pause_outlasts_the_total_time(shelf: Shelf) -> None:
    with serve(sends(status=429, Retry_After="30")) as server:
        message = shelf.failure(server.url, limits=Limits(total_seconds=1.5))
    assert "not complete within 2 s" in message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


def test_https_and_redirects_within_it_are_followed(trusted: Path, shelf: Shelf) -> None:
    def redirects_home(handler: Handler) -> None:
        redirects(handler.record.url.upper())(handler)

    with serve(redirects("/moved"), redirects("again"), redirects_home, sends(TEXT), certificate=trusted) as server:
        shelf.bring(f"{server.url}/tale.txt")
    assert [path for _, path in server.hits] == ["/tale.txt", "/moved", "/again", "/"]


@pytest.mark.parametrize("scheme", ["http", "HtTp"])
def test_a_redirect_from_https_to_http_is_refused(scheme: str, trusted: Path, shelf: Shelf) -> None:
    with serve(sends(TEXT)) as plain:
        answer = redirects(plain.url.replace("http", scheme))
        with serve(redirects("/moved"), answer, certificate=trusted) as server:
            message = shelf.failure(server.url)
    assert f"{server.url}: redirects from HTTPS to an address without it: refused" in message
    assert plain.hits == []


def test_an_untrusted_certificate_is_refused_at_once(certificate: Path, shelf: Shelf) -> None:
    limits = Limits(total_seconds=2.0, retry=RETRY.new(backoff_factor=10.0))
    with serve(sends(TEXT), certificate=certificate) as server:
        assert "certificate verify failed" in shelf.failure(server.url, limits=limits)
    assert server.hits == []


def test_nothing_is_printed_without_a_terminal(shelf: Shelf, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(sends(TEXT)) as server:
        shelf.bring(server.url)
    assert capfd.readouterr() == ("", "")


PROGRAM = """
import sys
from pathlib import Path
from lstm_lm.corpus.source import Sources, fetch

def peak_after(name):
    fetch(name, Path(sys.argv[1]), Sources(Path(sys.argv[2])))
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

"""


def command(shelf: Shelf, line: str) -> list[str]:
    """A process of its own that runs a line after `PROGRAM`."""
    return [sys.executable, "-c", PROGRAM + line, str(shelf.destination.parent), str(shelf.corpora)]


def test_a_killed_download_leaves_the_old_file_and_the_next_one_cleans_up(shelf: Shelf) -> None:
    with serve(sends(blocks=[bytes([byte]) for byte in TEXT], pause=0.02), sends(TEXT)) as server:
        write_record(shelf.corpora, "tale", {"corpus": TEXT}, server.url)
        with subprocess.Popen(command(shelf, "peak_after('tale')")) as process:
            while not server.hits and process.poll() is None:
                time.sleep(0.02)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert len(shelf.contents()) == 2
        assert shelf.destination.read_bytes() == OLD
        shelf.bring(server.url)


@pytest.mark.skipif(not PROCESS.exists(), reason="needs Linux's /proc")
def test_a_download_needs_little_memory(shelf: Shelf) -> None:
    mebibyte = bytes(range(256)) * 4096
    with serve(sends(mebibyte), sends(blocks=[mebibyte] * 64)) as server:
        for name, count in (("small", 1), ("large", 64)):
            write_record(shelf.corpora, name, {"corpus": mebibyte * count}, server.url)
        line = "print(-peak_after('small') + peak_after('large'))"
        grown = int(subprocess.run(command(shelf, line), capture_output=True, text=True, check=True).stdout)
    assert shelf.destination.stat().st_size == 64 * len(mebibyte)
    assert grown < 30 * 1024  # KiB
