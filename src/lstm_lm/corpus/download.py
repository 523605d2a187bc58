"""Bytes from a URL: bounded in time and size, retried where that may help, or one line that says why not."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Thread
from urllib.parse import urljoin

import requests
from tqdm import tqdm

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes of a server that may answer better a little later."""
CHUNK_BYTES = 8192


@dataclass(frozen=True)
class Limits:
    """How patient a download is; times in seconds."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    total_seconds: float = 120.0
    """For one URL: all tries, redirects and pauses together."""
    max_bytes: int = 64 * 2**20
    tries: int = 3
    backoff_seconds: float = 0.5
    """The first pause; each later one is twice as long."""
    retry_after_seconds: float = 30.0
    """The longest pause that a server's Retry-After can ask for."""
    redirects: int = 5


class DownloadFailed(OSError):
    """A URL did not give its content; the message says why, in one line without the URL."""


class _Busy(requests.RequestException):
    """The server asks to come back later: after `pause` seconds, if it says when."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(_status(response))
        self.pause = _retry_after(response.headers.get("Retry-After", ""))


class _Session(requests.Session):
    """Leaves redirects to `_opened`: the library would read their bodies, however long, and follow them anywhere."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def download(url: str, limits: Limits) -> bytes:
    """The content of `url`, whole, with a progress bar on stderr where that is a terminal.

    Raises:
        DownloadFailed: it cannot be had within `limits`.
    """
    deadline = time.monotonic() + limits.total_seconds
    with tqdm(unit="B", unit_scale=True, disable=None, leave=False, dynamic_ncols=True) as bar:
        for attempt in range(1, limits.tries + 1):
            try:
                return _within(deadline, url, limits, bar)
            except requests.RequestException as error:
                asked = error.pause if isinstance(error, _Busy) else 0.0
                pause = max(limits.backoff_seconds * 2 ** (attempt - 1), min(asked, limits.retry_after_seconds))
                if attempt == limits.tries or time.monotonic() + pause >= deadline or not _may_pass(error):
                    tries = f" ({attempt} tries)" if attempt > 1 else ""
                    raise DownloadFailed(_reason(error) + tries) from error
                time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _within(deadline: float, url: str, limits: Limits, bar: tqdm) -> bytes:
    """One try in a thread of its own: a read time-out alone never ends while single bytes still drip in."""
    future: Future[bytes] = Future()

    def settle() -> None:
        try:
            future.set_result(_get(deadline, url, limits, bar))
        except BaseException as error:  # whatever it is, it is the caller's: `result` raises it there
            future.set_exception(error)

    Thread(target=settle, daemon=True).start()
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        raise _too_slow(limits) from None


def _get(deadline: float, url: str, limits: Limits, bar: tqdm) -> bytes:
    content = bytearray()
    with _Session() as session, _opened(session, url, limits) as response:
        bar.reset(response.raw.length_remaining)
        for chunk in response.iter_content(CHUNK_BYTES):
            if time.monotonic() > deadline:
                raise _too_slow(limits)
            content += chunk
            if len(content) > limits.max_bytes:
                raise DownloadFailed(f"sends more than the {limits.max_bytes:,} bytes allowed")
            bar.update(len(chunk))
    return bytes(content)


@contextmanager
def _opened(session: requests.Session, url: str, limits: Limits) -> Iterator[requests.Response]:
    """The answer to a GET with status 200, behind redirects that never leave HTTPS for plain HTTP."""
    for _ in range(limits.redirects + 1):
        with session.get(
            url,
            stream=True,
            timeout=(limits.connect_seconds, limits.read_seconds),
            headers={"Accept-Encoding": "identity"},
        ) as response:
            if not response.is_redirect:
                _check_status(response)
                yield response
                return
            url = _target(url, response.headers["Location"])
    raise DownloadFailed(f"redirects more than {limits.redirects} times")


def _target(url: str, location: str) -> str:
    """Where a redirect from `url` leads. Raises DownloadFailed where that gives HTTPS up or makes no sense."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise DownloadFailed("redirects to a malformed address") from error
    if url.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise DownloadFailed("redirects from HTTPS to an address without it: refused")
    return target


def _check_status(response: requests.Response) -> None:
    if response.status_code in BUSY:
        raise _Busy(response)
    if response.status_code != 200:
        raise DownloadFailed(_status(response))


def _status(response: requests.Response) -> str:
    """The status in the standard's words, not in the server's."""
    return f"answers {response.status_code} {http.client.responses.get(response.status_code, '')}".rstrip()


def _retry_after(header: str) -> float:
    """The pause that a Retry-After header asks for, in seconds: a number or a date (0 where it is neither)."""
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _may_pass(error: requests.RequestException) -> bool:
    """Whether another try may go better: not with an untrusted certificate or an address that makes no sense."""
    return not isinstance(error, requests.exceptions.SSLError | ValueError)


def _reason(error: BaseException) -> str:
    """What the innermost cause says, in one line: the outer ones repeat the address and Python's object names."""
    while error.__context__ is not None:
        error = error.__context__
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _too_slow(limits: Limits) -> DownloadFailed:
    return DownloadFailed(f"not complete within {limits.total_seconds:g} s")
