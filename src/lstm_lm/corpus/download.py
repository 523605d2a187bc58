"""Downloads into a file: only the bytes of its record, in bounded time, tried again where that may help."""

import hashlib
import http.client
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import BinaryIO, cast
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from lstm_lm.corpus.record import File

CHUNK_BYTES = 2**16
RETRY = Retry(
    total=2,
    other=0,  # such as an untrusted certificate
    status_forcelist=[408, 425, 429, 500, 502, 503, 504],
    raise_on_status=False,
    backoff_factor=0.5,
    retry_after_max=30,
)
"""The second try follows at once, the third after a second; a busy server's Retry-After changes that."""


@dataclass(frozen=True)
class Limits:
    """How patient a download is."""

    timeout: tuple[float, float] = (10.0, 20.0)  # seconds to connect, and from one read to the next
    total_seconds: float = 120.0  # for all tries, redirects and pauses together
    bytes_per_second: float = 200_000.0  # the slowest transfer that is waited for: a large file gets more time
    retry: Retry = RETRY


class SourceFailed(Exception):
    """A source does not give a file; the message is the reason."""


def receive(blocks: Iterable[bytes], output: BinaryIO, file: File) -> None:
    """Write `blocks` to `output`, from its start; never more bytes than the record says.

    Raises:
        SourceFailed: they are not what the record says.
    """
    output.seek(0)
    output.truncate()
    sha256, size, start = hashlib.sha256(), 0, b""
    for block in blocks:
        size += len(block)
        if size > file.bytes:
            raise SourceFailed(f"more than the {file.bytes:,} bytes of the text")
        start = start or block.lstrip()[:1]
        sha256.update(block)
        output.write(block)
    digest = sha256.hexdigest()
    if digest != file.sha256:
        what = "an HTML page" if start == b"<" else "other bytes" if size else "an empty file"
        raise SourceFailed(f"{what} instead of the text (SHA-256 {digest[:12]}..., expected {file.sha256[:12]}...)")
    output.flush()  # a full disk is noticed before any of several files takes its place


def download(url: str, limits: Limits, output: BinaryIO, file: File) -> None:
    """Write the content of `url` to `output`, with a progress bar where stderr is a terminal.

    A thread does it, because a read time-out never ends a download that still gets single bytes.

    Raises:
        SourceFailed: the content cannot be had within `limits`, or is not what the record says.
    """
    seconds = limits.total_seconds + file.bytes / limits.bytes_per_second
    done: Future[None] = Future()

    def work() -> None:
        try:
            done.set_result(_get(url, limits, output, file))
        except BaseException as error:  # `result` raises it
            done.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        done.result(seconds)
    except TimeoutError:
        raise SourceFailed(f"not complete within {seconds:.0f} s") from None
    except requests.RequestException as error:
        raise SourceFailed(_reason(error)) from error
    except ValueError as error:
        raise SourceFailed(f"redirects to a malformed address ({error})") from error


def _get(url: str, limits: Limits, output: BinaryIO, file: File) -> None:
    """The adapter repeats a request that gets no answer, the loop one whose content breaks off."""
    with requests.Session() as session:
        session.max_redirects = 5
        session.hooks["response"].append(_check)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=limits.retry))
        for left in reversed(range(cast("int", limits.retry.total) + 1)):
            with session.get(url, stream=True, timeout=limits.timeout) as response:
                try:
                    receive(_chunks(response, file.bytes), output, file)
                    break
                except requests.RequestException:
                    if not left:
                        raise


def _chunks(response: requests.Response, total: int) -> Iterator[bytes]:
    with tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False, dynamic_ncols=True) as bar:
        for chunk in response.iter_content(CHUNK_BYTES):
            bar.update(len(chunk))
            yield chunk


def _check(response: requests.Response, **_: object) -> None:
    """Let only status 200 through, and redirects that do not leave HTTPS."""
    if response.status_code == 200:
        return
    response.close()  # requests would read the content of a redirect, however long
    if not response.is_redirect:  # in the standard's words, not in the server's
        words = http.client.responses.get(response.status_code, "")
        raise SourceFailed(f"answers {response.status_code} {words}".rstrip())
    target = urljoin(response.url, response.headers["Location"])
    if response.url.startswith("https:") and not target.startswith("https:"):
        raise SourceFailed("redirects from HTTPS to an address without it: refused")


def _reason(error: BaseException) -> str:
    """What the innermost cause says: the outer ones repeat the address and Python's object names."""
    while error.__context__ is not None:
        error = error.__context__
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
