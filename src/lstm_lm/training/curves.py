"""The learning curves, as files that DVC plots."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from lstm_lm.core.atomic import write_text
from lstm_lm.training.loop import Epoch


def speeds(epochs: Sequence[Epoch]) -> list[float]:
    """Tokens per second in each epoch."""
    return [epoch.tokens / epoch.seconds for epoch in epochs]


def write(epochs: Sequence[Epoch], kind: str, root: Path) -> None:
    """Write plots/{curve,held_out,timing}_<kind>.tsv below `root`; nothing before the first epoch.

    Epochs are numbered from 1; `seconds` is cumulative.
    """
    if not epochs:
        return
    train = [(str(epoch.train_perplexity),) for epoch in epochs]
    valid = [() if epoch.valid_perplexity is None else (str(epoch.valid_perplexity),) for epoch in epochs]
    seconds = accumulate(epoch.seconds for epoch in epochs)
    timing = [(f"{total:.6g}", f"{speed:.6g}") for total, speed in zip(seconds, speeds(epochs), strict=True)]
    _write(root / f"plots/curve_{kind}.tsv", ("train_perplexity",), train)
    _write(root / f"plots/held_out_{kind}.tsv", ("valid_perplexity",), valid)
    _write(root / f"plots/timing_{kind}.tsv", ("seconds", "tokens_per_second"), timing)


def _write(path: Path, names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Write columns by epoch; leave out epochs without a value, which DVC would draw as zero."""
    numbered = [("epoch", *names), *((str(number), *row) for number, row in enumerate(rows, 1) if row)]
    write_text(path, "".join("\t".join(row) + "\n" for row in numbered))
