"""The parameters in words: the tables in docs/parameters.md, and the comments of params.yaml.

Both come from the fields of `lstm_lm.core.params`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markupsafe import Markup
from pydantic.fields import FieldInfo

from lstm_lm.core.params import load_params
from lstm_lm.core.yaml_file import Section
from tools.markdown import code, table

PARAMS = "params.yaml"
COLUMN = 26
"""Where the comments of params.yaml begin."""


class Parameter(NamedTuple):
    """A parameter under DVC's name; `value` is its default, `meaning` Markdown whose links are relative to docs/."""

    name: str
    value: object
    meaning: str

    @property
    def row(self) -> list[object]:
        """Cells: name, default, meaning."""
        if isinstance(self.value, list):
            default = ", ".join(self.value)
        else:
            default = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return [code(self.name), default, Markup(self.meaning)]

    @property
    def comment(self) -> str:
        """The meaning as plain text."""
        return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", self.meaning).replace("`", "")


def parameters(section: Section, prefix: str = "") -> Iterator[Parameter]:
    """All parameters of a section, in the order of its fields."""
    fields: dict[str, FieldInfo] = type(section).model_fields
    for name, field in fields.items():
        value: Any = getattr(section, name)
        if isinstance(value, Section):
            yield from parameters(value, f"{prefix}{name}.")
        else:
            yield Parameter(f"{prefix}{name}", value, field.description or "")


def all_parameters(root: Path) -> str:
    """A table for each section, under the section's description."""
    params = load_params(root / PARAMS)
    sections = {name: value for name, value in params if isinstance(value, Section)}
    everywhere = [parameter for parameter in parameters(params) if "." not in parameter.name]
    tables = [f"## Everywhere\n\n{_table(everywhere)}"]
    for name, section in sections.items():
        tables.append(f"## `{name}`\n\n{type(section).__doc__}\n\n{_table(parameters(section, f'{name}.'))}")
    return "\n\n".join(tables)


def commented(root: Path) -> str:
    """The text of params.yaml, with the meaning of each parameter behind its value. Other lines stay as they are."""
    comments = {parameter.name: parameter.comment for parameter in parameters(load_params(root / PARAMS))}
    text, section = (root / PARAMS).read_text(encoding="utf-8").removesuffix("\n") + "\n", ""
    ends = {token.start_mark.line: token.end_mark for token in yaml.scan(text)}  # of the last token in each line
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if key := re.match(r"( *)(\w+):", line):
            section = section if key[1] else f"{key[2]}."
            comment, end = comments.get(f"{section}{key[2]}" if key[1] else key[2]), ends.get(number)
            if comment and end and end.line == number:
                lines[number] = f"{line[: end.column]:<{COLUMN - 1}} # {comment}"
    return "\n".join(lines) + "\n"


def _table(found: Iterable[Parameter]) -> str:
    return table(["key", "default", "meaning"], [parameter.row for parameter in found], words=3)
