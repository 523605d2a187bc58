"""The curves of a training as DVC plots them; while it runs, they end where it is."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lstm_lm.atomic import write_text
from lstm_lm.training.loop import Epoch


def table(epochs: Sequence[Epoch]) -> pd.DataFrame:
    """The epochs, numbered from 1, with `seconds` summed up and `tokens_per_second`."""
    rows = pd.DataFrame(epochs, pd.RangeIndex(1, len(epochs) + 1, name="epoch"), Epoch._fields)
    rows["tokens_per_second"] = rows["tokens"] / rows["seconds"]
    rows["seconds"] = rows["seconds"].cumsum()
    return rows


def write(epochs: Sequence[Epoch], kind: str, root: Path) -> None:
    """Write plots/{curve,held_out,timing}_<kind>.tsv below `root`, each of them whole; nothing before the first epoch.

    Raises:
        OSError: a file cannot be written.
    """
    if epochs:
        rows = table(epochs)
        _write(rows, ["train_perplexity"], root / f"plots/curve_{kind}.tsv")
        _write(rows, ["valid_perplexity"], root / f"plots/held_out_{kind}.tsv")
        _write(rows, ["seconds", "tokens_per_second"], root / f"plots/timing_{kind}.tsv", float_format="%.6g")


def _write(rows: pd.DataFrame, columns: list[str], path: Path, float_format: str | None = None) -> None:
    """Write columns by epoch, without the epochs that have no value: DVC would draw them as zero."""
    rows = rows.dropna(subset=columns)
    write_text(path, rows.to_csv(sep="\t", columns=columns, lineterminator="\n", float_format=float_format))
