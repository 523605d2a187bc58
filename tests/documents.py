"""README, the changelog and docs/ as Markdown: their commands, links, headings and tables."""

import itertools
import re
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from projects import ROOT


class Block(NamedTuple):
    """A fenced block: the heading that it stands under, its language and its text."""

    heading: str
    language: str
    text: str


class Document:
    """A Markdown file, and in order: headings, blocks, where links and pictures lead, code in sentences, table rows.

    `name` is its path in the project.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path.relative_to(ROOT))
        self.headings: list[str] = []
        self.blocks: list[Block] = []
        self.targets: list[str] = []
        self.code: list[str] = []
        self.rows: list[list[str]] = []
        for before, token in itertools.pairwise(
            MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
        ):
            if before.type == "heading_open":
                self.headings.append(token.content)
            elif token.type in ("fence", "code_block"):
                self.blocks.append(Block("".join(self.headings[-1:]), token.info, token.content))
            elif before.type == "tr_open":
                self.rows.append([])
            if before.type in ("th_open", "td_open"):
                self.rows[-1].append(token.content)
            for part in token.children or []:
                self.targets += [str(part.attrs[name]) for name in ("href", "src") if name in part.attrs]
                self.code += [part.content] if part.type == "code_inline" else []

    @property
    def anchors(self) -> set[str]:
        """What a link can put behind `#`, as GitHub makes it from the headings."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in self.headings}

    @property
    def commands(self) -> list[tuple[str, str]]:
        """(heading, command without its comment) for every command in a block of the language sh, in order."""
        shell = [block for block in self.blocks if block.language == "sh"]
        return [(block.heading, re.sub(r"\s+# .*$", "", line)) for block in shell for line in block.text.splitlines()]


DOCUMENTS = [Document(path) for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md")))]
