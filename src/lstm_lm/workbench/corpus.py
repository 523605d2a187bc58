"""What `make corpus FILE=path/to/my_text.txt` does: a text of the user's own becomes a corpus with a record."""

import filecmp
import hashlib
import shutil
import sys
from pathlib import Path

import yaml

from lstm_lm.atomic import replacing, write_text
from lstm_lm.corpus.record import File, Record, file_name, load_record
from lstm_lm.params import corpus_name
from lstm_lm.tokens.encoding import decoded

CORPORA = Path("data/corpora")


def add(text: Path, corpora: Path) -> str:
    """Copy a text into the folder `corpora`, unless it is there, and write its record.

    Returns:
        The name of the corpus.

    Raises:
        ValueError: it is not a text in UTF-8, or its name is taken.
        OSError: a file cannot be read or written.
    """
    if not sum(map(len, decoded(text))):
        raise ValueError(f"{text} is empty")
    name = corpus_name(text.name)
    licence = _licence(name, text, corpora)
    copy = corpora / file_name(name, "corpus")
    if not copy.exists():
        with text.open("rb") as source, replacing(copy) as target:
            shutil.copyfileobj(source, target)
    elif not filecmp.cmp(text, copy, shallow=False):
        raise ValueError(f"{copy} is another text: remove it or rename {text}")
    with copy.open("rb") as file:
        known = File(bytes=copy.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    record = Record(licence=licence, files={"corpus": known})
    write_text(corpora / f"{name}.yaml", yaml.safe_dump(record.model_dump(exclude_defaults=True), sort_keys=False))
    return name


def _licence(name: str, text: Path, corpora: Path) -> str:
    """The one in the record that a new one replaces. Raises ValueError where that is not the user's to replace."""
    if not (corpora / f"{name}.yaml").exists():
        return "not stated"
    old = load_record(name, corpora)
    if set(old.files) != {"corpus"} or old.files["corpus"].sources:
        raise ValueError(f"the corpus {name} can be downloaded and keeps its record: rename {text}")
    return old.licence


def main() -> None:
    """Add the text that the command line names."""
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("usage: make corpus FILE=path/to/my_text.txt")
    try:
        name = add(Path(sys.argv[1]), CORPORA)
    except (ValueError, OSError) as error:
        sys.exit(f"corpus: {error}")
    print(
        f"{CORPORA / name}.yaml is the record of {CORPORA / name}.txt.\n"
        "Give both to git, or the text to DVC (dvc add); then run the pipeline on it:\n"
        f"    git add {CORPORA / name}.yaml {CORPORA / name}.txt\n"
        f"    dvc exp run -S \"corpus.name='{name}'\""
    )


if __name__ == "__main__":
    main()
