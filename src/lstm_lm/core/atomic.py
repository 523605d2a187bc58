"""Atomic writes: a file is the old one or the whole new one, even after a crash."""

import fcntl
import glob
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class NotWritten(OSError):
    """A file could not be written; the message has its name and the reason."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` if the block ends without an error.

    The bytes go to a temporary file in the same folder (made if missing), reach the disk, and then the
    temporary file is renamed over `path`. After an error, a crash or a full disk `path` is what it was. The temporary
    file of a crash stays until `path` is written again.

    Raises:
        NotWritten: the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        with _open_temporary(path) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise
    except NotWritten:  # raised by a nested block
        raise
    except OSError as error:
        raise NotWritten(f"cannot write {path}: {error.strerror or error}") from error


def remove_stale(path: Path) -> None:
    """Remove unused temporary files of `path`; those in use are locked."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError), temporary.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()


def _open_temporary(path: Path) -> BinaryIO:
    """Open a new file beside `path`, locked until it is closed."""
    while True:
        file = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp").open("xb")
        with suppress(OSError):  # on a file system without locks, `remove_stale` gets none either
            fcntl.flock(file, fcntl.LOCK_EX)
        if Path(file.name).exists():  # another process may have removed it before it was locked
            return file
        file.close()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically. Raises OSError."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` atomically, as UTF-8 with its line ends as they are. Raises OSError."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write `content` to `path` atomically as indented JSON in the order given.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
        OSError: the file cannot be written.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise ValueError(f"cannot write {path}: a number in it is not finite") from error
    write_text(path, text + "\n")


def write_record(path: Path, keys: dict[str, object]) -> None:
    """Write a file of metrics/ that `dvc metrics show` leaves out: DVC passes over what is in a list.

    Such a file is a metric all the same: of the files in git, DVC's run cache keeps no others. Raises as `write_json`.
    """
    write_json(path, [keys])
