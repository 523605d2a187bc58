"""README, the changelog and docs/ as Markdown: their commands, links, headings and tables."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]


class Block(NamedTuple):
    """A fenced block: the heading that it stands under, its language and its text."""

    heading: str
    language: str
    text: str


class Document:
    """A Markdown file; `name` is its path in the project."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path.relative_to(ROOT))

    @cached_property
    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def headings(self) -> list[str]:
        """The headings, as they are written."""
        pairs = zip(self._tokens, self._tokens[1:], strict=False)
        return [content.content for opening, content in pairs if opening.type == "heading_open"]

    @cached_property
    def anchors(self) -> set[str]:
        """What a link can put behind `#`, as GitHub makes it from the headings."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in self.headings}

    @cached_property
    def blocks(self) -> list[Block]:
        """The fenced blocks."""
        found, headings, heading = [], iter(self.headings), ""
        for token in self._tokens:
            if token.type == "heading_open":
                heading = next(headings)
            elif token.type in ("fence", "code_block"):
                found.append(Block(heading, token.info, token.content))
        return found

    @cached_property
    def commands(self) -> list[tuple[str, str]]:
        """(heading, command without its comment) for every command in a block of the language sh, in order."""
        return [
            (block.heading, re.sub(r"\s+# .*$", "", line))
            for block in self.blocks
            if block.language == "sh"
            for line in block.text.splitlines()
        ]

    @cached_property
    def targets(self) -> list[str]:
        """Where its links and pictures lead."""
        attributes = [token.attrs.get("href", token.attrs.get("src")) for token in self._inline()]
        return [str(target) for target in attributes if target is not None]

    @cached_property
    def code(self) -> list[str]:
        """The code in its sentences."""
        return [token.content for token in self._inline() if token.type == "code_inline"]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The rows of its tables, headers included."""
        found: list[list[str]] = []
        for before, token in zip(self._tokens, self._tokens[1:], strict=False):
            if before.type == "tr_open":
                found.append([])
            if before.type in ("th_open", "td_open"):
                found[-1].append(token.content)
        return found

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or []


DOCUMENTS = [
    Document(path) for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
]
