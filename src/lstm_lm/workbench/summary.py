"""The table that ends `make run`: what was trained, how well, how fast, and what to try next."""

import json
from pathlib import Path
from typing import Any

from lstm_lm import stage
from lstm_lm.params import Params

MODELS = ("scratch", "concise")

_NEXT = """\
Plots: plots/learning_curves.png, plots/generalisation.png, plots/throughput.png
Text:  plots/generated.txt

Try next:
  . .venv/bin/activate
  dvc metrics show
  dvc exp run -S model.hidden=512 && dvc exp show
  python -m lstm_lm.generate --model concise --prefix "time traveller"
"""


def table(root: Path) -> str:
    """One line for each model, from metrics/.

    Raises:
        ValueError: a metrics file lacks a key.
        OSError: a metrics file is missing.
    """
    scores = _metrics(root, "evaluate")
    lines = [
        f"Corpus: {scores['corpus']}",
        "",
        "          ------- perplexity -------   bits per token",
        "model        train   held-out     test       (held-out)     tokens/s    seconds",
    ]
    for model in MODELS:
        trained, speed = _metrics(root, f"train_{model}"), _metrics(root, f"throughput_{model}")
        valid, test = scores[model]["valid"], scores[model]["test"]
        lines.append(
            f"{model:<8} {trained['perplexity']:>9.2f} {valid['perplexity']:>10.2f} {test['perplexity']:>8.2f} "
            f"{valid['bits_per_token']:>16.2f} {speed['tokens_per_second']:>12,.0f} {speed['seconds']:>10,.1f}"
        )
    return "\n".join(lines)


def main(_params: Params, root: Path) -> None:
    """Print the table, where the plots are and what to try next."""
    try:
        print(f"\n{table(root)}\n\n{_NEXT}", end="")
    except KeyError as error:
        raise ValueError(f"a file in metrics/ lacks the key {error}: run dvc repro") from error


def _metrics(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / "metrics" / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    stage.run(main)
