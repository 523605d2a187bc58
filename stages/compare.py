"""Compare the two models: the numbers that DVC shows and compares, and the pictures."""

from pathlib import Path

import pandas as pd

from lstm_lm.comparison import cell_picture, passage_picture, pictures
from lstm_lm.comparison.measures import LABELS, beside_the_book, shown_in
from lstm_lm.comparison.metrics import Evaluate, Passages, Throughput, Tokenize, Units, read
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.json_file import load_json
from lstm_lm.core.params import Params


def main(params: Params, root: Path) -> None:
    """Bring together what the stages before measured."""
    corpus, tokens, scores = params.corpus.name, read(root, "tokenize", Tokenize), read(root, "evaluate", Evaluate)
    throughput = {kind: read(root, f"throughput_{kind}", Throughput) for kind in LABELS}
    for kind in LABELS:
        measured = {name: measure.value(root, kind) for name, measure in shown_in("experiments").items()}
        write_json(root / f"metrics/{kind}.json", {"corpus": corpus, **measured})
    curves = {kind: curve(kind, root) for kind in LABELS}
    pictures.learning_curves(curves, corpus, root / "plots/learning_curves.png")
    pictures.generalisation(scores, tokens, corpus, root / "plots/generalisation.png")
    pictures.throughput(throughput, corpus, beside_the_book(root), root / "plots/throughput.png")
    passages, units = read(root, "passages", Passages), load_json(root / "data/units.json", Units)
    passage_picture.draw(passages, corpus, root / "plots/surprisal.png")
    cell_picture.draw(units, passages, corpus, root / "plots/gates.png")


def curve(kind: str, root: Path) -> pd.DataFrame:
    """A model's perplexities, seconds and speed by epoch."""
    names = ("curve", "held_out", "timing")
    train, *others = (pd.read_csv(root / f"plots/{name}_{kind}.tsv", sep="\t", index_col="epoch") for name in names)
    return train.join(others)


if __name__ == "__main__":
    stage.run(main)
