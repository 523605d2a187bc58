"""Check that the corpus has a record, before DVC removes what the other stages have made.

Without this stage, DVC itself would stop at the missing record and could not say what to do.
"""

from pathlib import Path

from lstm_lm import stage
from lstm_lm.corpus.record import load_record
from lstm_lm.params import Params


def main(params: Params, root: Path) -> None:
    """Read the record of the corpus that params.yaml names."""
    load_record(params.corpus.name, root / "data/corpora")


if __name__ == "__main__":
    stage.run(main)
