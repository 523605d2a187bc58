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
from lstm_lm.tokens.tokenizer import Tokenizer

LARGE_SHARE = 0.2
"""Of a text's characters; English prose loses about 0.04 by its punctuation."""


def main(params: Params, root: Path) -> None:
    """Normalise, build the vocabulary of the whole text, cut the splits, describe them."""
    settings = params.tokenize
    tokenizer = Tokenizer(settings.level, settings.normalize)
    raw = text.read_corpus(root / "data/raw")
    normalized = [tokenizer.normalize(part) for part in raw]
    dropped = text.dropped_share(raw, normalized) if settings.normalize == "letters" else 0.0
    if dropped > LARGE_SHARE:
        print(
            f"tokenize.normalize letters keeps a to z only: it drops {dropped:.0%} of this text's characters; "
            "none keeps all of them"
        )
    parts = [tokenizer.tokens(part) for part in normalized]
    counts = [getattr(settings, f"{name}_tokens") for name in text.SPLITS]
    characters = {name: len(tokenizer.join(tokens)) for name, tokens in text.split(parts, counts).items()}
    vocabulary = text.Vocabulary.of(chain.from_iterable(parts), settings.min_freq)
    encoded = [vocabulary.encode(part) for part in parts]
    splits = text.split(encoded, counts)
    for name, ids in splits.items():
        content = io.BytesIO()  # np.save into a file hides why the disk refuses
        np.save(content, ids, allow_pickle=False)
        write_bytes(root / f"data/tokens/{name}.npy", content.getvalue())
    vocabulary.save(root / "data/tokens/vocabulary.json")
    description = {
        "corpus": params.corpus.name,
        "characters": sum(map(len, raw)),
        "dropped_share": dropped,
        **text.describe(np.concatenate(encoded), splits, characters, vocabulary),
    }
    write_json(root / "metrics/tokenize.json", description)


if __name__ == "__main__":
    stage.run(main)
