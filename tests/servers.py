"""Servers on loopback that misbehave in one chosen way each."""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answer = Callable[["Handler"], None]


@dataclass
class Server:
    """What a test knows of a running server: its address, and when it was asked for which path."""

    url: str
    hits: list[tuple[float, str]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def pauses(self) -> list[float]:
        """Seconds between each request and the next."""
        times = [time for time, _ in self.hits]
        return [later - sooner for sooner, later in itertools.pairwise(times)]


class Handler(BaseHTTPRequestHandler):
    """Gives the server's answers in turn, the last one for ever."""

    record: Server
    answers: tuple[Answer, ...]

    def do_GET(self) -> None:
        self.record.hits.append((time.monotonic(), self.path))
        answer = self.answers[min(len(self.record.hits), len(self.answers)) - 1]
        with contextlib.suppress(OSError):  # the client has had enough and hung up
            answer(self)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def begin(self, status: int, **headers: str) -> None:
        """Send the status and the headers (underscores stand for hyphens)."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is a test's purpose, not news for stderr."""


@contextlib.contextmanager
def serve(*answers: Answer, certificate: Path | None = None) -> Iterator[Server]:
    """Run a server on a free port of loopback, with TLS if there is a certificate (with its key, PEM)."""
    record = Server("")
    handler = type("Handler", (Handler,), {"record": record, "answers": answers})
    with _Server(("127.0.0.1", 0), handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        record.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield record
        finally:
            record.stopping.set()
            server.shutdown()
            thread.join()


def refusing_url() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def make_certificate(path: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1 and its key to `path`, as PEM."""
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
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def sends(content: bytes, **headers: str) -> Answer:
    """Status 200 and the whole of `content`."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=str(len(content)), **headers)
        handler.wfile.write(content)

    return answer


def answers(status: int, **headers: str) -> Answer:
    """A status and no content."""
    return lambda handler: handler.begin(status, Content_Length="0", **headers)


def redirects(target: str) -> Answer:
    """A redirect; `{hit}` in the target stands for the number of the request, so that no two are alike."""
    return lambda handler: handler.begin(302, Content_Length="0", Location=target.format(hit=len(handler.record.hits)))


def truncates(content: bytes) -> Answer:
    """Half of what the length promises, then the end."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=str(len(content)))
        handler.wfile.write(content[: len(content) // 2])

    return answer


def truncates_without_length(content: bytes) -> Answer:
    """Half of the content, no length promised, then the end."""

    def answer(handler: Handler) -> None:
        handler.begin(200)
        handler.wfile.write(content[: len(content) // 2])

    return answer


def drips(content: bytes) -> Answer:
    """One byte of the content at a time, each soon enough that no read times out."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=str(len(content)))
        for byte in content:
            if handler.record.stopping.wait(0.02):
                return
            handler.wfile.write(bytes([byte]))

    return answer


def drips_headers(handler: Handler) -> None:
    """One header that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Endless: ")
    while not handler.record.stopping.wait(0.02):
        handler.wfile.write(b"x")


def floods(handler: Handler) -> None:
    """Content without an end."""
    handler.begin(200)
    while not handler.record.stopping.is_set():
        handler.wfile.write(b"time traveller " * 1000)


def redirects_with_endless_body(handler: Handler) -> None:
    """A redirect to itself whose content nobody should read."""
    handler.begin(302, Location=handler.path)
    while not handler.record.stopping.is_set():
        handler.wfile.write(b"time traveller " * 1000)


def sleeps(handler: Handler) -> None:
    """Nothing at all, and the connection left open."""
    handler.record.stopping.wait()
