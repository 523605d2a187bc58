"""Fetch the corpus: data/corpora/, a mirror or the web -> data/raw/corpus.txt."""

import os
from pathlib import Path

from lstm_lm import stage
from lstm_lm.corpus import registry as corpora
from lstm_lm.params import Params


def main(params: Params, root: Path) -> None:
    """Bring the corpus that params.yaml names, from the first source that has it."""
    source = corpora.fetch(
        params.corpus.name,
        root / "data/raw/corpus.txt",
        corpora_dir=root / "data/corpora",
        mirror=os.environ.get("CORPUS_MIRROR"),
    )
    print(f"{params.corpus.name}: {source}")


if __name__ == "__main__":
    stage.run(main)
