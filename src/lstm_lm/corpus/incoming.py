"""An incoming file: bytes that must become what a record says, hashed while they are written."""

import hashlib
from typing import BinaryIO

from lstm_lm.corpus.record import File


class SourceFailed(Exception):
    """A source does not give a file; the message says why, in one line without the source."""


class Incoming:
    """Takes the bytes of one file, as long as they can still become the expected one."""

    def __init__(self, file: BinaryIO, expected: File) -> None:
        self.file, self.expected = file, expected
        self.restart()

    def restart(self) -> None:
        """Forget what has come so far. Raises OSError."""
        self.file.seek(0)
        self.file.truncate()
        self.digest, self.size, self.start = hashlib.sha256(), 0, b""

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            SourceFailed: there are more bytes than expected.
            OSError: they cannot be written.
        """
        self.size += len(block)
        if self.size > self.expected.bytes:
            raise SourceFailed(f"more than the {self.expected.bytes:,} bytes of the text")
        self.start = self.start or block.lstrip()[:1]
        self.digest.update(block)
        self.file.write(block)

    def check(self) -> None:
        """Compare the whole with the record.

        Raises:
            SourceFailed: it is something else.
            OSError: the last bytes cannot be written.
        """
        digest, expected = self.digest.hexdigest(), self.expected.sha256
        if digest == expected:
            self.file.flush()  # a full disk is noticed before any of several files takes its place
            return
        if not self.size:
            raise SourceFailed("empty")
        what = "an HTML page" if self.start == b"<" else "other bytes"
        raise SourceFailed(f"{what} instead of the text (SHA-256 {digest[:12]}..., expected {expected[:12]}...)")
