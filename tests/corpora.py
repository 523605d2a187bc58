"""Corpora that tests make up."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lstm_lm.corpus.download import RETRY, Limits
from lstm_lm.corpus.record import file_name
from lstm_lm.corpus.source import CorpusUnavailable, Sources, fetch

TEXT = b"The Time Traveller (for so it will be convenient to speak of him)\r\n" * 2000  # more than a block
OLD = b"an older text"
LIMITS = Limits(
    timeout=(2.0, 0.5), total_seconds=20.0, retry=RETRY.new(total=1, backoff_factor=0.02, retry_after_max=1)
)
SLACK_SECONDS = 2.0
"""What a busy machine may add to a bounded time."""


def write_record(folder: Path, name: str, contents: dict[str, bytes], *urls: str) -> None:
    """Write the record of a corpus whose files have these contents and can be had at `urls`."""
    files = {
        part: {"bytes": max(1, len(content)), "sha256": hashlib.sha256(content).hexdigest(), "sources": list(urls)}
        for part, content in contents.items()
    }
    (folder / f"{name}.yaml").write_text(
        yaml.safe_dump({"licence": "public domain", "files": files}, sort_keys=False), encoding="utf-8"
    )


@dataclass
class Shelf:
    """The folder of the records, and the place to which the file of a corpus goes."""

    corpora: Path
    destination: Path

    def add(self, name: str, contents: dict[str, bytes], folder: Path | None = None) -> list[str]:
        """Write a record, and its files to a folder, or beside it; their paths."""
        write_record(self.corpora, name, contents)
        paths = [(folder or self.corpora) / file_name(name, part) for part in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return [str(path) for path in paths]

    def fetch(self, name: str, mirror: str = "", limits: Limits = LIMITS) -> list[str]:
        return fetch(name, self.destination.parent, Sources(self.corpora, mirror, limits=limits))

    def bring(self, *urls: str, mirror: str = "", limits: Limits = LIMITS) -> str:
        """Fetch the corpus "tale", which its record says to be at `urls`; where it came from."""
        write_record(self.corpora, "tale", {"corpus": TEXT}, *urls)
        [origin] = self.fetch("tale", mirror, limits)
        assert self.contents() == {"corpus.txt": TEXT}
        return origin

    def failure(self, *urls: str, mirror: str = "", limits: Limits = LIMITS) -> str:
        """The message of a fetch that must fail, leave the old file alone and nothing else behind, and end in time."""
        start = time.monotonic()
        with pytest.raises(CorpusUnavailable) as caught:
            self.bring(*urls, mirror=mirror, limits=limits)
        assert time.monotonic() - start < limits.total_seconds * max(1, len(urls)) + SLACK_SECONDS
        assert self.contents() == {"corpus.txt": OLD}
        return str(caught.value)

    def contents(self) -> dict[str, bytes]:
        """The files at the destination, hidden ones too."""
        return {path.name: path.read_bytes() for path in self.destination.parent.iterdir()}
