"""Fetch the corpus: data/corpora/, a mirror, DVC's cache or the web -> data/raw/."""

from pathlib import Path

from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from lstm_lm.corpus.source import Sources, fetch


def main(params: Params, root: Path) -> None:
    """Bring the files of the corpus that params.yaml names, each from the first source that has it."""
    for origin in fetch(params.corpus.name, root / "data/raw", Sources.of_project(root)):
        say(f"{params.corpus.name}: {origin}")


if __name__ == "__main__":
    stage.run(main)
