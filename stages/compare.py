"""Compare the two models: one JSON, and the pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_lm.comparison import cell_picture, passage_picture, pictures
from lstm_lm.comparison.measures import LABELS
from lstm_lm.comparison.metrics import Evaluate, Passages, Throughput, Tokenize, Units, read
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.json_file import load_json
from lstm_lm.core.params import Params


def main(params: Params, root: Path) -> None:
    """Bring together what the stages before measured."""
    corpus, tokens, scores = params.corpus.name, read(root, "tokenize", Tokenize), read(root, "evaluate", Evaluate)
    throughput = {kind: read(root, f"throughput_{kind}", Throughput) for kind in LABELS}
    comparison = {"corpus": corpus, **compared(scores, throughput), "unigram_perplexity": tokens["unigram_perplexity"]}
    write_json(root / "metrics/compare.json", comparison)
    curves = {kind: curve(kind, root) for kind in LABELS}
    pictures.learning_curves(curves, corpus, root / "plots/learning_curves.png")
    pictures.generalisation(scores, tokens, corpus, root / "plots/generalisation.png")
    pictures.throughput(throughput, corpus, root / "plots/throughput.png")
    passages, units = read(root, "passages", Passages), load_json(root / "data/units.json", Units)
    passage_picture.draw(passages, corpus, root / "plots/surprisal.png")
    cell_picture.draw(units, passages, corpus, root / "plots/gates.png")


def compared(scores: Mapping[str, Any], throughput: Mapping[str, Any]) -> dict[str, Any]:
    """The ratio of the speeds, and for each model how much it overfits: validation over train perplexity."""
    scratch, concise = (throughput[kind]["tokens_per_second"] for kind in LABELS)
    return {
        "scratch_over_concise_tokens_per_second": round(scratch / concise, 3),
        "overfit": {kind: scores[kind]["valid"]["perplexity"] / scores[kind]["train"]["perplexity"] for kind in LABELS},
    }


def curve(kind: str, root: Path) -> pd.DataFrame:
    """A model's perplexities, seconds and speed by epoch."""
    names = ("curve", "held_out", "timing")
    train, *others = (pd.read_csv(root / f"plots/{name}_{kind}.tsv", sep="\t", index_col="epoch") for name in names)
    return train.join(others)


if __name__ == "__main__":
    stage.run(main)
