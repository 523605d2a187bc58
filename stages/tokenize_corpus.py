"""Tokenise: data/raw/corpus.txt -> three windows of token ids, the vocabulary, counts.

Not called tokenize.py: a script's own folder comes first on the import path, and torch imports the standard
library's `tokenize`.
"""

import io
from pathlib import Path

import numpy as np

from lstm_lm import stage
from lstm_lm.atomic import write_bytes, write_json
from lstm_lm.params import Params
from lstm_lm.tokens import text


def main(params: Params, root: Path) -> None:
    """Normalise, build the vocabulary of the whole text, cut the windows, describe them."""
    raw = text.read_text(root / "data/raw/corpus.txt")
    normalized = text.normalize(raw)
    vocabulary = text.Vocabulary.of(normalized)
    ids = vocabulary.encode(normalized)
    windows = text.split(ids, [getattr(params.tokenize, f"{name}_tokens") for name in text.WINDOWS])
    for name, window in windows.items():
        content = io.BytesIO()  # np.save into a file hides why the disk refuses
        np.save(content, window, allow_pickle=False)
        write_bytes(root / f"data/tokens/{name}.npy", content.getvalue())
    vocabulary.save(root / "data/tokens/vocabulary.json")
    description = text.describe(raw, ids, windows, vocabulary)
    write_json(root / "metrics/tokenize.json", {"corpus": params.corpus.name, **description})


if __name__ == "__main__":
    stage.run(main)
