"""Servers on loopback that misbehave in one chosen way each."""

import contextlib
import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[["Handler"], None]


@dataclass
class Server:
    """What a test knows of a running server: its address, and when it was asked for which path."""

    url: str = ""
    hits: list[tuple[float, str]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Gives the server's answers in turn, the last one for ever."""

    record: Server
    answers: tuple[Answer, ...]

    def do_GET(self) -> None:
        self.record.hits.append((time.monotonic(), self.path))
        answer = self.answers[min(len(self.record.hits), len(self.answers)) - 1]
        with contextlib.suppress(OSError):  # the client has hung up
            answer(self)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is a test's purpose, not news for stderr."""


def sends(
    content: bytes = b"", blocks: Iterable[bytes] = (), status: int | None = 200, pause: float = 0.0, **headers: object
) -> Answer:
    """Send a status, headers (underscores stand for hyphens), the content and more blocks, each after a pause.

    Without a status the content is all: the status line too, or not even that.
    """

    def answer(handler: Handler) -> None:
        if status is not None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), str(value))
            handler.end_headers()
        for block in itertools.chain([content], blocks):
            if handler.record.stopping.wait(pause):
                return
            handler.wfile.write(block)

    return answer


@contextlib.contextmanager
def serve(*answers: Answer, certificate: Path | None = None) -> Iterator[Server]:
    """Run a server on a free port of loopback, with TLS if there is a certificate (with its key, PEM)."""
    record = Server()
    handler = type("Handler", (Handler,), {"record": record, "answers": answers})
    with _Server(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        record.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield record
        finally:
            record.stopping.set()
            server.shutdown()
            thread.join()
