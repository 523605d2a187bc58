"""Bytes from a URL: bounded in time and size, retried where that may help, or one line that says why not."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from lstm_lm.corpus.incoming import Incoming, SourceFailed

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes of a server that may answer better a little later."""
CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class Limits:
    """How patient a download is; times in seconds."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    total_seconds: float = 120.0
    """For one URL: all tries, redirects and pauses together."""
    bytes_per_second: float = 200_000.0
    """The slowest transfer that is waited for: a large file gets so much more time."""
    tries: int = 3
    backoff_seconds: float = 0.5
    """The second try follows the first at once; then come a pause of twice this, and each later one doubles."""
    retry_after_seconds: int = 30
    """The longest pause that a server's Retry-After can ask for."""
    redirects: int = 5


class _Session(requests.Session):
    """Leaves redirects to `_opened`: the library would read their bodies, however long, and follow them anywhere."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def download(url: str, incoming: Incoming, limits: Limits) -> None:
    """Write the content of `url` to `incoming`, with a progress bar on stderr where that is a terminal.

    It runs in a thread of its own: a read time-out alone never ends while single bytes still drip in.

    Raises:
        SourceFailed: it cannot be had within `limits`.
        OSError: it cannot be written.
    """
    seconds = limits.total_seconds + incoming.expected.bytes / limits.bytes_per_second
    deadline = time.monotonic() + seconds
    future: Future[None] = Future()

    def settle() -> None:
        try:
            future.set_result(_get(url, incoming, limits, deadline))
        except BaseException as error:  # whatever it is, it is the caller's: `result` raises it there
            future.set_exception(error)

    Thread(target=settle, daemon=True).start()
    try:
        future.result(seconds)
    except TimeoutError:
        raise SourceFailed(f"not complete within {seconds:.0f} s") from None
    except requests.RequestException as error:
        raise SourceFailed(_reason(error)) from error


def _get(url: str, incoming: Incoming, limits: Limits, deadline: float) -> None:
    """The adapter tries a request again that gets no answer or a busy server's; here, a content that breaks off."""
    retry = Retry(
        total=limits.tries - 1,
        other=0,  # such as an untrusted certificate
        status_forcelist=BUSY,
        raise_on_status=False,
        backoff_factor=limits.backoff_seconds,
        retry_after_max=limits.retry_after_seconds,
    )
    with _Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        for left in reversed(range(limits.tries)):
            with _opened(session, url, limits) as response:
                try:
                    _copy(response, incoming, deadline)
                    return
                except requests.RequestException:
                    if not left:
                        raise


def _copy(response: requests.Response, incoming: Incoming, deadline: float) -> None:
    incoming.restart()
    total = response.raw.length_remaining
    with tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False, dynamic_ncols=True) as bar:
        for chunk in response.iter_content(CHUNK_BYTES):
            if time.monotonic() > deadline:
                return  # nobody waits any more
            incoming.write(chunk)
            bar.update(len(chunk))


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
                if response.status_code != 200:
                    raise SourceFailed(_status(response))
                yield response
                return
            url = _target(url, response.headers["Location"])
    raise SourceFailed(f"redirects more than {limits.redirects} times")


def _target(url: str, location: str) -> str:
    """Where a redirect from `url` leads. Raises SourceFailed where that gives HTTPS up or makes no sense."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise SourceFailed("redirects to a malformed address") from error
    if url.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise SourceFailed("redirects from HTTPS to an address without it: refused")
    return target


def _status(response: requests.Response) -> str:
    """The status in the standard's words, not in the server's."""
    return f"answers {response.status_code} {http.client.responses.get(response.status_code, '')}".rstrip()


def _reason(error: BaseException) -> str:
    """What the innermost cause says, in one line: the outer ones repeat the address and Python's object names."""
    while error.__context__ is not None:
        error = error.__context__
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())
