"""Text in UTF-8, decoded a block at a time; where a text is something else, which encoding it probably has."""

import codecs
from collections.abc import Iterator
from functools import partial
from pathlib import Path

BLOCK_BYTES = 2**16
"""Small enough for a processor's cache, large enough that a block's own cost does not count."""
HEAD_BYTES = 2**16
"""So much of a text, or around its first odd byte, is enough to tell the encoding."""
_WIDE = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
_NARROW = ["cp1252", "cp1251", "koi8_r", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
_NAMES = {"cp1252": "Windows-1252 (as Latin-1)", "cp1251": "Windows-1251", "gb18030": "GB 18030 (as GBK)"}


def decoded(path: Path, size: int = BLOCK_BYTES) -> Iterator[str]:
    """The text in a file, UTF-8 with or without a byte-order mark, `size` bytes at a time.

    Raises:
        ValueError: it is not UTF-8; the message names the encoding that it probably has.
        OSError: the file cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    with path.open("rb") as file:
        try:
            for number, block in enumerate(iter(partial(file.read, size), b"")):
                text = decoder.decode(block)
                if number == 0:
                    _refuse_wide(path)
                yield text
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            offset = file.tell() - len(error.object) + error.start
            where = f"{path}: byte {error.object[error.start]:#04x} at offset {offset} is not UTF-8"
            if error.reason == "unexpected end of data":
                raise ValueError(f"{where}: the text ends in the middle of a character") from error
            encoding = _guess(_sample(path, 0), _WIDE) or _guess(_sample(path, offset - HEAD_BYTES // 2), _NARROW)
            raise ValueError(_advice(where, encoding)) from error


def _refuse_wide(path: Path) -> None:
    """Letters in UTF-16 are ASCII and zeros, which is valid UTF-8; a zero alone is no sign of it."""
    head = _sample(path, 0)
    if b"\0" in head and (wide := _guess(head, _WIDE)):
        raise ValueError(_advice(f"{path}: this is not UTF-8", wide))


def _sample(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, start))
        return file.read(HEAD_BYTES)


def _advice(where: str, encoding: str | None) -> str:
    return where + (f" but probably {encoding}" if encoding else "") + "; save the text as UTF-8"


def _guess(sample: bytes, candidates: list[str]) -> str | None:
    from charset_normalizer import from_bytes  # it loads many codecs, for the sake of a message

    best = from_bytes(sample, cp_isolation=candidates).best()
    return best and _NAMES.get(best.encoding, best.encoding.upper().replace("_", "-"))
