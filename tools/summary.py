"""What ends `make run`: how well and how fast both models learnt, what they write, and what to try next."""

from pathlib import Path

from tabulate import tabulate

from lstm_lm.comparison.measures import LABELS, not_shown, shown_in, with_few_tokens
from lstm_lm.comparison.metrics import Evaluate, Generated, Tokenize, read
from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from lstm_lm.tokens.tokenizer import one_line
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
  python -m lstm_lm.generate --model concise --prefix 'time traveller'"""

TEXT = 70
"""The most characters of a continuation."""


def table(root: Path) -> str:
    """A line for each measure, a column for each model, what is not shown. Raises ValueError as `Measure.value`."""
    few = with_few_tokens(read(root, "tokenize", Tokenize))
    shown = shown_in("results", without=few)
    rows = [[m.title, *(format(m.value(root, model), m.form) for model in LABELS)] for m in shown.values()]
    header = [f"Corpus: {read(root, 'evaluate', Evaluate)['corpus']}", *LABELS.values()]
    numbers = tabulate(rows, header, colalign=("left", *["right"] * len(LABELS)), disable_numparse=True)
    return "\n".join(filter(None, [numbers, not_shown("results", few)]))


def continuations(root: Path) -> str:
    """How each model continues the first prefix, a line each; empty where there is no prefix."""
    texts = read(root, "generated", Generated)["texts"]
    rows = [
        [f"{LABELS.get(row['model'], row['model'])}, {row['mode']}", one_line(f"[{row['prefix']}]{row['text']}")[:TEXT]]
        for row in texts
        if row["prefix"] == texts[0]["prefix"]
    ]
    return tabulate(rows, tablefmt="plain", disable_numparse=True)


def main(_params: Params, root: Path) -> None:
    """Print the table, texts, where the plots are and what to try next. An experiment needs git."""
    advice = _NEXT if has_git(root) else _NEXT.replace(_EXPERIMENT, "")
    say("\n" + "\n\n".join(filter(None, [table(root), continuations(root), advice])))


if __name__ == "__main__":
    stage.run(main)
