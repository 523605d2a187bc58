"""Excerpts: what the models wrote beside what the corpus itself says there."""

from itertools import takewhile
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lstm_lm.comparison.measures import LABELS, read
from lstm_lm.review import page
from lstm_lm.tokens.text import normalize, read_text

_CORPUS = "data/raw/corpus.txt"


def excerpts(root: Path) -> list[dict[str, Any]]:
    """For each prefix what follows it in the corpus, or why that is missing, and what every model wrote.

    In `rows`, `agreed` counts the characters that a continuation has in common with the corpus from its start;
    `block` is all of it for Markdown.

    Raises:
        ValueError: metrics/generated.json is not as the evaluate stage writes it, or the corpus is not UTF-8.
        OSError: metrics/generated.json is missing.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        rows = read(root, "generated")["texts"]
        longest = max((len(row["text"]) for row in rows), default=0)
        for row in rows:
            excerpt = found.setdefault(row["prefix"], {"prefix": row["prefix"], "rows": []})
            excerpt["rows"].append({key: row[key] for key in ("model", "mode", "text")})
    except (KeyError, TypeError) as error:
        raise ValueError("metrics/generated.json is not as the evaluate stage writes it: run dvc repro") from error
    stream = normalize(read_text(root / _CORPUS)) if (root / _CORPUS).exists() else None
    for excerpt in found.values():
        excerpt["corpus"], excerpt["missing"] = _original(stream, excerpt["prefix"], longest)
        for row in excerpt["rows"]:
            row["agreed"] = _agreement(row["text"], excerpt["corpus"])
        excerpt["block"] = _block(excerpt)
    return list(found.values())


def _original(stream: str | None, prefix: str, length: int) -> tuple[str, str]:
    """What follows the first occurrence of a prefix in the corpus, or why there is nothing to show."""
    if stream is None:
        return "", f"not shown: {_CORPUS} is not here (dvc pull or dvc repro brings it)"
    place = stream.find(prefix)
    if place < 0:
        return "", "not shown: the corpus does not hold this prefix"
    return stream[place + len(prefix) :][:length], ""


def _agreement(text: str, original: str) -> int:
    """How many characters two texts share from the start; one or two count as chance."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, original, strict=False)))
    return shared if shared > 2 else 0


def _block(excerpt: dict[str, Any]) -> Markup:
    """Line under line, so that the same place stands in the same column; a bar ends the prefix."""
    lines = [("the corpus itself", excerpt["corpus"] or f"({excerpt['missing']})")]
    lines += [(f"{LABELS.get(row['model'], row['model'])}, {row['mode']}", row["text"]) for row in excerpt["rows"]]
    return page.block([f"{name:<23} {excerpt['prefix']}|{text}" for name, text in lines])
