"""Markdown from text that others wrote: it shows as it is, and is no markup. `Markup` is Markdown already."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from markupsafe import Markup
from tabulate import tabulate


def escape(value: object) -> str:
    """A value that Markdown shows literally, on one line, also in a table."""
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).split())
    return Markup(re.sub(r"[\\`*\[\]<>|~&#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", text))


def code(text: str) -> Markup:
    """A name in the type of code."""
    fence = _fence(text, 1)
    padding = " " if len(fence) > 1 else ""
    return Markup(f"{fence}{padding}{' '.join(text.split())}{padding}{fence}")


def link(text: object, address: str) -> Markup:
    """A link, with every sign encoded in its address that could end it."""
    return Markup(f"[{escape(text)}]({quote(address, safe='/:?&=#%@+,;~!$*')})")


def block(lines: Sequence[str]) -> Markup:
    """Lines as a fenced block, with a fence longer than any in them."""
    text = "\n".join(" ".join(line.splitlines()) for line in lines)
    fence = _fence(text, 3)
    return Markup(f"{fence}text\n{text}\n{fence}")


def table(header: Sequence[object], rows: Sequence[Sequence[object]], words: int = 1) -> str:
    """A table: so many columns of words, then numbers, to the right."""
    columns = ("left",) * words + ("right",) * (len(header) - words)
    cells = [[str(escape(cell)) for cell in row] for row in (header, *rows)]
    return tabulate(cells[1:], cells[0], tablefmt="pipe", colalign=columns, disable_numparse=True)


def _fence(text: str, least: int) -> str:
    return "`" * max([least, *(len(run) + 1 for run in re.findall("`+", text))])
