"""Fixtures of the tests that fetch corpora."""

from pathlib import Path

import pytest

from corpora import OLD, Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf with an older text at the destination."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shelf = Shelf(tmp_path / "corpora", tmp_path / "raw" / "corpus.txt")
    shelf.corpora.mkdir()
    shelf.destination.parent.mkdir()
    shelf.destination.write_bytes(OLD)
    return shelf
