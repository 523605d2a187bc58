"""The curves of a training as DVC plots them; while it runs, they end where it is."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from lstm_lm.core.atomic import write_text
from lstm_lm.training.loop import Epoch


def speeds(epochs: Sequence[Epoch]) -> list[float]:
    """Tokens per second in each epoch."""
    return [epoch.tokens / epoch.seconds for epoch in epochs]


def write(epochs: Sequence[Epoch], kind: str, root: Path) -> None:
    """Write plots/{curve,held_out,timing}_<kind>.tsv below `root`, each of them whole; nothing before the first epoch.

    Epochs are numbered from 1, `seconds` summed up.

    Raises:
        OSError: a file cannot be written.
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
    """Write columns by epoch, without the epochs that have no value: DVC would draw them as zero."""
    numbered = [("epoch", *names), *((str(number), *row) for number, row in enumerate(rows, 1) if row)]
    write_text(path, "".join("\t".join(row) + "\n" for row in numbered))
