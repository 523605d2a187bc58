"""Check that the corpus has a record -> data/corpus_name.txt.

The fetch stage has the record among its parameters, and where it is missing DVC itself stops without saying what to do.
So this stage comes first, by an output that the fetch stage depends on.
"""

from pathlib import Path

from lstm_lm import stage
from lstm_lm.atomic import write_text
from lstm_lm.corpus.record import load_record
from lstm_lm.params import Params


def main(params: Params, root: Path) -> None:
    """Read the record of the corpus that params.yaml names."""
    load_record(params.corpus.name, root / "data/corpora")
    write_text(root / "data/corpus_name.txt", params.corpus.name + "\n")


if __name__ == "__main__":
    stage.run(main)
