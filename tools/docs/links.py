"""Links from the docs to lines of the code, [`BookLayer.step`](../src/...py#L20), which `make readme` numbers."""

import ast
import re
from pathlib import Path

_LINK = re.compile(r'\[([^\]]+)\]\(([^)#\s]+)#L\d+(\s"([^"]+)")?\)')
_CODE = re.compile("`[^`]+`")


def numbered(text: str, folder: Path) -> str:
    """The Markdown of a page in `folder`, each link to a line with the number of the line that has its code.

    The code is the link's title or, if there is none, its text (see `line`).
    """
    return _LINK.sub(lambda link: _numbered(link, folder), text)


def _numbered(link: re.Match[str], folder: Path) -> str:
    text, file, title, code = link.groups()
    if not code and not _CODE.fullmatch(text):
        return link[0]
    return f"[{text}]({file}#L{line(folder / file, code or text.strip('`'))}{title or ''})"


def line(path: Path, code: str) -> int:
    """The line at which `code` is: of a name such as BookLayer.step the definition, else the first that has the text.

    Raises:
        ValueError: the file does not have it.
    """
    text = path.read_text(encoding="utf-8")
    found = _definition(text, code.split(".")) if path.suffix == ".py" else 0
    found = found or next((number for number, one in enumerate(text.splitlines(), 1) if code in one), 0)
    if not found:
        raise ValueError(f"{path} does not have {code}, to which a page links")
    return found


def _definition(text: str, names: list[str]) -> int:
    """The line of a class or function, nested by its names; 0 where there is none."""
    node: ast.AST = ast.parse(text)
    for name in names:
        inside = (one for one in ast.iter_child_nodes(node) if getattr(one, "name", "") == name)
        node = next(inside, ast.Pass())
    return getattr(node, "lineno", 0)
