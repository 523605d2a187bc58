"""The names that a corpus can have: file names on every system, and text for YAML and DVC."""

import re
from typing import Annotated

from pydantic import BeforeValidator

from lstm_lm.core.yaml_file import shown


def corpus_name(text: str) -> str:
    """The allowed name nearest to `text`: War_and_Peace for War and Peace.txt."""
    return re.sub("[^A-Za-z0-9._-]+", "_", text.removesuffix(".txt"))[:100].strip("._-") or "my_text"


def _check(name: object) -> object:
    plain = corpus_name(str(name)) if isinstance(name, str | int) else "my_text"
    if name == plain:
        return name
    if str(name) == plain:  # a number for YAML
        plain = f"'{plain}', with the quotes (dvc exp run -S \"corpus.name='{plain}'\")"
    raise ValueError(
        f"corpus.name is {shown(name)}; allowed: letters, digits, and . _ - between them, without .txt; write {plain}"
    )


CorpusName = Annotated[str, BeforeValidator(_check)]
"""A field whose message says what to write instead of a name that is not allowed."""
