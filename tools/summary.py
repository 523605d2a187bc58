"""The table that ends `make run`: what was trained, how well, how fast, and what to try next."""

from pathlib import Path

from tabulate import tabulate

from lstm_lm.comparison.measures import LABELS, read, shown_in, with_few_tokens
from lstm_lm.core import stage
from lstm_lm.core.params import Params
from tools.project import has_git

_EXPERIMENT = """
  dvc exp run -S model.hidden=512
  make experiments"""
_NEXT = f"""\
Plots: plots/learning_curves.png, plots/generalisation.png, plots/throughput.png
Text:  plots/generated.txt

Try next:
  . .venv/bin/activate{_EXPERIMENT}
  make report
  python -m lstm_lm.generate --model concise --prefix "time traveller"
"""


def table(root: Path) -> str:
    """One line for each measure, one column for each model. Raises ValueError as `Measure.value`."""
    shown = shown_in("results", without=with_few_tokens(read(root, "tokenize")))
    rows = [[m.title, *(format(m.value(root, model), m.form) for model in LABELS)] for m in shown.values()]
    columns = ("left", *["right"] * len(LABELS))
    return tabulate(
        rows, [f"Corpus: {read(root, 'evaluate')['corpus']}", *LABELS.values()], colalign=columns, disable_numparse=True
    )


def main(_params: Params, root: Path) -> None:
    """Print the table, where the plots are and what to try next. An experiment needs git."""
    print(f"\n{table(root)}\n\n{_NEXT if has_git(root) else _NEXT.replace(_EXPERIMENT, '')}", end="")


if __name__ == "__main__":
    stage.run(main)
