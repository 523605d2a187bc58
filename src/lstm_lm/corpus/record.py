"""Records: what data/corpora/<name>.yaml says of a corpus, its files with their digests, sources and licence."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lstm_lm.core.printable import printable
from lstm_lm.core.yaml_file import Section, load_yaml

Part = Literal["corpus", "train", "valid", "test"]


class File(Section):
    """One file of a corpus: its size in bytes, its SHA-256 in hexadecimal, addresses of the same bytes."""

    bytes: Annotated[int, Field(ge=1, le=2**40)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    sources: list[Annotated[str, Field(pattern=r"^https?://\S+$")]] = Field(default_factory=list)


class Record(Section):
    """A corpus: one file that the pipeline cuts into splits (`corpus`), or one file for each split."""

    licence: Annotated[str, Field(min_length=1)]
    files: dict[Part, File]

    @model_validator(mode="after")
    def _files_make_a_corpus(self) -> "Record":
        if set(self.files) not in ({"corpus"}, {"train", "valid", "test"}):
            raise ValueError(f"files: {', '.join(self.files) or 'none'}; allowed: corpus, or train, valid and test")
        return self


def file_name(name: str, part: str) -> str:
    """What a file of the corpus `name` is called in data/corpora/ and in a mirror."""
    return f"{name}.txt" if part == "corpus" else f"{name}.{part}.txt"


def load_record(name: str, folder: Path) -> Record:
    """Read the record of the corpus `name` in `folder`, which is data/corpora/.

    Raises:
        ValueError: there is no such record, or it is not as a record must be.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise ValueError(f"corpus.name: {_missing(name, folder)}")
    return load_yaml(path, Record)


def _missing(name: str, folder: Path) -> str:
    """Why there is no record, and what to do."""
    text = folder / file_name(name, "corpus")
    if text.exists():
        return f"{text} has no record yet: make corpus FILE={text} writes it"
    known = printable(", ".join(sorted(path.stem for path in folder.glob("*.yaml"))))
    return f"{name!r} is none of the corpora ({known}); add a text of your own with make corpus FILE=path/to/{name}.txt"
