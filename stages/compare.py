"""Compare the two models: one JSON, and the pictures."""

from pathlib import Path

import pandas as pd

from lstm_lm.comparison import passages, plots
from lstm_lm.comparison import summary as comparison
from lstm_lm.comparison.measures import LABELS, read
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.params import Params


def main(params: Params, root: Path) -> None:
    """Bring together what the stages before measured."""

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(root / f"plots/{name}.tsv", sep="\t", index_col="epoch")

    tokens, scores = read(root, "tokenize"), read(root, "evaluate")
    throughput = {kind: read(root, f"throughput_{kind}") for kind in LABELS}
    curves = {
        kind: table(f"curve_{kind}").join([table(f"held_out_{kind}"), table(f"timing_{kind}")]) for kind in LABELS
    }
    summary = comparison.summary(scores, throughput, tokens["unigram_perplexity"])
    write_json(root / "metrics/compare.json", {"corpus": params.corpus.name, **summary})
    plots.learning_curves(curves, params.corpus.name, root / "plots/learning_curves.png")
    plots.generalisation(scores, tokens["unigram_perplexity"], params.corpus.name, root / "plots/generalisation.png")
    plots.throughput(throughput, params.corpus.name, root / "plots/throughput.png")
    passages.surprisal(read(root, "passages"), params.corpus.name, root / "plots/surprisal.png")


if __name__ == "__main__":
    stage.run(main)
