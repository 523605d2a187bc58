"""Words instead of characters: both levels trained on the same text and compared in bits per character.

Cuts the corpus into words, then as much of it into characters, in a folder of its own, trains the model from scratch on
each and writes metrics/benchmark_words.json. Needs data/raw/, so run `dvc repro fetch` first. Takes about a minute on
two cores.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.exercises.training import Tokens, configured, outcome, train
from lstm_lm.core import device as devices
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_json
from lstm_lm.core.json_file import read_json
from lstm_lm.core.params import Params
from lstm_lm.tokens.text import tokens_per_character
from stages import tokenize_corpus

WORDS = {"train": 20_000, "valid": 5_000, "test": 5_000}
TRAINING: dict[str, object] = {
    "model.dropout": 0.3,
    "train.optimizer": "adam",
    "train.valid_every": 1,
    "train.keep": "best",
    "train.patience": 4,
}
LEVELS: dict[str, dict[str, object]] = {
    "word": {"tokenize.level": "word", "model.embedding": 128, "train.lr": 0.002},
    # Without an embedding, dropout would take whole characters.
    "char": {"tokenize.level": "char", "model.embedding": 32, "train.lr": 0.005},
}
LENGTH = {"word": 12, "char": 60}
"""Tokens to write: about as much text."""


def measure(params: Params, raw: Path, words: dict[str, int], epochs: int) -> dict[str, Any]:
    """Level -> what came of a training on the same stretch of the text in the folder `raw`."""
    results, counts = {}, words
    for level, changes in LEVELS.items():
        sizes = {f"tokenize.{split}_tokens": count for split, count in counts.items()}
        changed = params.changed({**TRAINING, **changes, **sizes, "train.epochs": epochs})
        with tempfile.TemporaryDirectory() as folder:
            results[level], counts = _train(changed, raw, Path(folder))
    return results


def _train(params: Params, raw: Path, folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """What came of a training, and how many characters each split has."""
    (folder / "data").mkdir()
    (folder / "data/raw").symlink_to(raw.resolve())
    tokenize_corpus.main(params, folder)
    tokens, described = Tokens.load(folder / "data/tokens"), read_json(folder / "metrics/tokenize.json")
    training = train(params, tokens, configured(params))
    found = outcome(training, tokens, LENGTH[params.tokenize.level], params.evaluate.temperature)
    ratio = tokens_per_character(folder / "metrics/tokenize.json")["valid"]
    bits = math.log2(found["valid_perplexity"]) * ratio
    sizes = {"vocabulary": described["vocabulary_size"], "tokens": described["train_tokens"]}
    return {**sizes, **found, "bits_per_character": round(bits, 3)}, {
        split: described[f"{split}_characters"] for split in WORDS
    }


def main(params: Params, root: Path) -> None:
    """Train on words and on characters and write the outcomes."""
    levels = measure(params, root / "data/raw", WORDS, epochs=60)
    measured_on = devices.measured_on(devices.choose(params.device))
    report = {"corpus": params.corpus.name, "measured_on": measured_on, "levels": levels}
    write_json(root / "metrics/benchmark_words.json", report)


if __name__ == "__main__":
    stage.run(main)
