"""The encoding of a text that is not UTF-8: which one it probably is."""

from charset_normalizer import from_bytes

HEAD_BYTES = 2**16
"""So much of a text, or around its first odd byte, is enough to tell."""
_WIDE = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
_NARROW = ["cp1252", "cp1251", "koi8_r", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
_NAMES = {"cp1252": "Windows-1252 (as Latin-1)", "cp1251": "Windows-1251", "gb18030": "GB 18030 (as GBK)"}


def decode(content: bytes) -> str:
    """The text that is in UTF-8, with or without a byte-order mark. Raises ValueError, which names the encoding."""
    head = content[:HEAD_BYTES]
    try:
        text = content.decode("utf-8")  # "utf-8-sig" would count offsets from behind the mark
    except UnicodeDecodeError as error:
        where = f"byte {content[error.start]:#04x} at offset {error.start} is not UTF-8"
        if error.reason == "unexpected end of data":
            raise ValueError(f"{where}: the text ends in the middle of a character") from error
        around = content[max(0, error.start - HEAD_BYTES // 2) :][:HEAD_BYTES]
        raise ValueError(_advice(where, _guess(head, _WIDE) or _guess(around, _NARROW))) from error
    # Letters in UTF-16 are ASCII and zeros, which is valid UTF-8; a zero alone is no sign of it.
    if "\0" in text[:HEAD_BYTES] and (wide := _guess(head, _WIDE)):
        raise ValueError(_advice("this is not UTF-8", wide))
    return text.removeprefix("\ufeff")


def _advice(where: str, encoding: str | None) -> str:
    return where + (f" but probably {encoding}" if encoding else "") + "; save the text as UTF-8"


def _guess(sample: bytes, candidates: list[str]) -> str | None:
    best = from_bytes(sample, cp_isolation=candidates).best()
    return best and _NAMES.get(best.encoding, best.encoding.upper().replace("_", "-"))
