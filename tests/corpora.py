"""Records of corpora that tests make up."""

import hashlib
from pathlib import Path

import yaml


def write_record(folder: Path, name: str, contents: dict[str, bytes], *urls: str) -> None:
    """Write the record of a corpus whose files have these contents and can be had at `urls`."""
    files = {
        part: {"bytes": max(1, len(content)), "sha256": hashlib.sha256(content).hexdigest(), "sources": list(urls)}
        for part, content in contents.items()
    }
    (folder / f"{name}.yaml").write_text(
        yaml.safe_dump({"licence": "public domain", "files": files}, sort_keys=False), encoding="utf-8"
    )
