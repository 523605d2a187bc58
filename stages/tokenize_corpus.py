"""Tokenise: data/raw/ -> three splits as token ids, the vocabulary, counts.

Not called tokenize.py: a script's own folder comes first on the import path, and torch imports the standard
library's `tokenize`.
"""

import io
from itertools import chain
from pathlib import Path

import numpy as np

from lstm_lm import stage
from lstm_lm.atomic import write_bytes, write_json
from lstm_lm.params import Params
from lstm_lm.tokens import text

LARGE_SHARE = 0.2
"""Of a text's characters; English prose loses about 0.04 by its punctuation."""


def main(params: Params, root: Path) -> None:
    """Normalise, build the vocabulary of the whole text, cut the splits, describe them."""
    raw = text.read_corpus(root / "data/raw")
    normalized = [text.normalize(part) for part in raw]
    dropped = text.dropped_share(raw, normalized)
    if dropped > LARGE_SHARE:
        print(f"tokenize.normalize letters keeps a to z only: it drops {dropped:.0%} of this text's characters")
    vocabulary = text.Vocabulary.of(chain.from_iterable(normalized))
    parts = [vocabulary.encode(part) for part in normalized]
    splits = text.split(parts, [getattr(params.tokenize, f"{name}_tokens") for name in text.SPLITS])
    for name, ids in splits.items():
        content = io.BytesIO()  # np.save into a file hides why the disk refuses
        np.save(content, ids, allow_pickle=False)
        write_bytes(root / f"data/tokens/{name}.npy", content.getvalue())
    vocabulary.save(root / "data/tokens/vocabulary.json")
    description = {
        "corpus": params.corpus.name,
        "characters": sum(map(len, raw)),
        "dropped_share": dropped,
        **text.describe(np.concatenate(parts), splits, vocabulary),
    }
    write_json(root / "metrics/tokenize.json", description)


if __name__ == "__main__":
    stage.run(main)
