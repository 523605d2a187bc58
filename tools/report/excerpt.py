"""What the models wrote, beside what the corpus says there."""

from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any

import regex
from markupsafe import Markup

from lstm_lm.comparison.measures import LABELS
from lstm_lm.comparison.metrics import Generated, read
from lstm_lm.tokens.draft import pieces
from lstm_lm.tokens.encoding import BLOCK_BYTES
from lstm_lm.tokens.text import corpus_files
from lstm_lm.tokens.tokenizer import Tokenizer, one_line
from lstm_lm.tokens.vocabulary import Vocabulary
from tools.markdown import block

HEAD_MIB = 8
"""How much of a text is searched, since it may be larger than memory."""


def excerpts(root: Path) -> list[dict[str, Any]]:
    """For each prefix what follows it in the corpus, or why that is missing, and what every model wrote.

    In `rows`, `agreed` counts the first characters of a continuation that are as in the corpus. `block` is all of it
    for Markdown. An arrow stands for each line end.

    Raises:
        ValueError: metrics/generated.json is not as the evaluate stage writes it, or the corpus is not UTF-8.
    """
    rows = read(root, "generated", Generated)["texts"]
    longest = max([1, *(len(row["text"]) for row in rows)])
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        excerpt = found.setdefault(row["prefix"], {"rows": []})
        excerpt["rows"].append({"model": row["model"], "mode": row["mode"], "text": one_line(row["text"])})
    originals = _originals(root, list(found), longest)
    for prefix, excerpt in found.items():
        excerpt["prefix"] = one_line(prefix)
        excerpt["corpus"], excerpt["missing"] = originals[prefix]
        for row in excerpt["rows"]:
            row["agreed"] = _agreement(row["text"], excerpt["corpus"])
        excerpt["block"] = _block(excerpt)
    return list(found.values())


def _originals(root: Path, prefixes: list[str], length: int) -> dict[str, tuple[str, str]]:
    """For each prefix what follows its first occurrence in the head of a text, or why there is nothing to show.

    A character counts together with its combining marks.
    """
    try:
        tokenizer = Vocabulary.load(root / "data/tokens/vocabulary.json").tokenizer
        texts = [_head(path, tokenizer) for path in corpus_files(root / "data/raw")]
    except FileNotFoundError as error:
        missing = f"not shown: {Path(error.filename).relative_to(root)} is not here (dvc pull or dvc repro brings it)"
        return dict.fromkeys(prefixes, ("", missing))
    whole = r"(?:(?<!\S)|(?=\s)){}(?:(?!\S)|(?<=\s))" if tokenizer.level == "word" else "{}"
    originals = {}
    for prefix in prefixes:
        after = regex.compile(rf"{whole.format(regex.escape(prefix))}(\X{{1,{length}}})")
        place = next(filter(None, map(after.search, texts)), None)
        missing = f"not shown: the corpus does not hold this prefix in its first {HEAD_MIB} MiB"
        originals[prefix] = (one_line(place[1]), "") if place else ("", missing)
    return originals


def _head(path: Path, tokenizer: Tokenizer) -> str:
    """The first HEAD_MIB of a text, as the tokens have it."""
    texts = islice(pieces(path, tokenizer), HEAD_MIB * 2**20 // BLOCK_BYTES)
    return tokenizer.join(chain.from_iterable(tokenizer.tokens(tokenizer.normalize(text)) for text in texts))


def _agreement(text: str, original: str) -> int:
    """How many first characters, with their combining marks, two texts share; one or two are chance and count 0."""
    pairs = zip(regex.findall(r"\X", text), regex.findall(r"\X", original), strict=False)
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return len("".join(shared)) if len(shared) > 2 else 0


def _block(excerpt: dict[str, Any]) -> Markup:
    """All texts, one under the other in the same columns; a bar ends the prefix."""
    lines = [("the corpus itself", excerpt["corpus"] or f"({excerpt['missing']})")]
    lines += [(f"{LABELS.get(row['model'], row['model'])}, {row['mode']}", row["text"]) for row in excerpt["rows"]]
    return block([f"{name:<23} {excerpt['prefix']}|{text}" for name, text in lines])
