"""`make corpus FILE=my_text.txt`: turn a text into a corpus with a record.

With VALIDATION and TEST, FILE is the train split, and the corpus has three files.
"""

import filecmp
import hashlib
import itertools
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from lstm_lm.core.atomic import replacing, write_text
from lstm_lm.core.corpus_name import corpus_name
from lstm_lm.core.printable import fail, say
from lstm_lm.corpus.record import File, Part, Record, file_name, load_record
from lstm_lm.tokens.draft import MANY_LETTERS, other_letters, pieces
from lstm_lm.tokens.encoding import decoded
from lstm_lm.tokens.text import SPLITS
from lstm_lm.tokens.tokenizer import Tokenizer
from tools.project import has_git

CORPORA = Path("data/corpora")
USAGE = "make corpus FILE=path/to/my_text.txt, or FILE=train.txt VALIDATION=valid.txt TEST=test.txt"


def add(texts: Mapping[Part, Path], corpora: Path) -> str:
    """Copy a text, or one for each split, into the folder `corpora`, and write the record.

    Returns:
        The name of the corpus: that of the first file, without .txt and .train.

    Raises:
        ValueError: a text is empty or not UTF-8, or a name is taken.
    """
    name = corpus_name(next(iter(texts.values())).name)
    if "train" in texts:
        name = name.removesuffix(".train")
    licence = _licence(name, corpora)
    copies = {part: corpora / file_name(name, part) for part in texts}
    for part, text in texts.items():
        if not sum(map(len, decoded(text))):
            raise ValueError(f"{text} is empty")
        if copies[part].exists() and not filecmp.cmp(text, copies[part], shallow=False):
            raise ValueError(f"{copies[part]} is another text: remove it or rename {text}")
    record = Record(licence=licence, files={part: _copied(text, copies[part]) for part, text in texts.items()})
    write_text(corpora / f"{name}.yaml", yaml.safe_dump(record.model_dump(exclude_defaults=True), sort_keys=False))
    return name


def lost_letters(texts: Iterable[Path]) -> float:
    """The share of the texts' letters that tokenize.normalize letters drops. Raises ValueError, OSError."""
    tokenizer, dropped, kept = Tokenizer("char", "letters"), 0, 0
    for piece in itertools.chain.from_iterable(pieces(text, tokenizer) for text in texts):
        normalized = tokenizer.normalize(piece)
        dropped, kept = dropped + other_letters(piece), kept + len(normalized) - normalized.count(" ")
    return dropped / (dropped + kept) if dropped else 0.0


def _copied(text: Path, copy: Path) -> File:
    """Copy a text, unless the copy exists; its entry in the record."""
    if not copy.exists():
        with text.open("rb") as source, replacing(copy) as target:
            shutil.copyfileobj(source, target)
    with copy.open("rb") as file:
        return File(bytes=copy.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _licence(name: str, corpora: Path) -> str:
    """The licence in the record that is replaced. Raises ValueError for a corpus that can be downloaded."""
    if not (corpora / f"{name}.yaml").exists():
        return "not stated"
    old = load_record(name, corpora)
    if any(file.sources for file in old.files.values()):
        raise ValueError(f"the corpus {name} can be downloaded and keeps its record: rename your text")
    return old.licence


def main() -> None:
    """Add the texts that the command line names."""
    paths = [Path(argument) for argument in sys.argv[1:] if argument]
    if len(paths) not in (1, len(SPLITS)):
        fail(f"usage: {USAGE}")
    parts: tuple[Part, ...] = ("corpus",) if len(paths) == 1 else ("train", "valid", "test")
    try:
        name = add(dict(zip(parts, map(Path.expanduser, paths), strict=True)), CORPORA)
        texts = [CORPORA / file_name(name, part) for part in parts]
        lost = lost_letters(texts)
    except KeyboardInterrupt:
        fail("corpus: stopped")
    except (ValueError, OSError, RuntimeError) as error:
        fail(f"corpus: {error}")
    record, copies = CORPORA / f"{name}.yaml", " ".join(map(str, texts))
    say(f"{record} is the record of {copies}.")
    settings = ["tokenize.train_tokens=-1"] if len(parts) == 1 else [f"tokenize.{split}_tokens=-1" for split in SPLITS]
    if lost > MANY_LETTERS:
        settings.append("tokenize.normalize=none")
    if has_git(Path()):
        say(
            "Give them to git, or the texts to DVC (dvc add); then run the pipeline on them:\n"
            f"    git add {record} {copies}\n"
            f"    dvc exp run -S \"corpus.name='{name}'\" -S {' -S '.join(settings)} -S train.epochs=20"
        )
    else:
        say(f"In params.yaml, set corpus.name to '{name}'; then run the pipeline:\n    make run")
    if len(parts) == 1:
        say("tokenize.train_tokens -1 trains on all of the text but the other splits, the default on 10,000 tokens.")
    else:
        say("-1 takes all tokens of a file; the defaults take the first 10,000, 5,000 and 5,000.")
    if lost > MANY_LETTERS:
        say(f"tokenize.normalize none keeps all letters; the default keeps a to z only and drops {lost:.1%} of them.")


if __name__ == "__main__":
    main()
