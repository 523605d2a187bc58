"""Tokenise: data/raw/ -> three splits as token ids, the vocabulary, counts.

Not called tokenize.py: a script's own folder comes first on the import path, and torch imports the standard
library's `tokenize`.
"""

from pathlib import Path

import numpy as np

from lstm_lm.core import stage
from lstm_lm.core.atomic import write_record
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from lstm_lm.tokens import compressors, text
from lstm_lm.tokens.draft import MANY_LETTERS, Draft
from lstm_lm.tokens.streams import write_digests, write_streams
from lstm_lm.tokens.tokenizer import LINE_END, Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary

LARGE_SHARE = 0.2
"""Of a text's characters; English prose loses about 0.04 by its punctuation."""


def main(params: Params, root: Path) -> None:
    """Draft the corpus, build the vocabulary of the whole text, cut the splits, describe them."""
    settings, folder = params.tokenize, root / "data/tokens"
    tokenizer = Tokenizer(settings.level, settings.normalize)
    with Draft(folder, tokenizer) as draft:
        for path in text.corpus_files(root / "data/raw"):
            draft.add(path)
        if draft.dropped_share > LARGE_SHARE or draft.lost_letters > MANY_LETTERS:
            say(
                f"tokenize.normalize letters keeps a to z only: it drops {draft.dropped_share:.0%} of this text's "
                f"characters and {draft.lost_letters:.1%} of its letters; none keeps all of them"
            )
        if times := draft.literal_line_ends:
            say(f"the text itself has the word {LINE_END}, {times:,} times: each counts as one more line end")
        splits = text.split(draft.parts, [getattr(settings, f"{name}_tokens") for name in text.SPLITS])
        vocabulary, ids = Vocabulary.ranked(draft.types, draft.counts, tokenizer, settings.min_freq)
        streams = write_streams(draft, splits, ids, folder)
        frequencies = np.bincount(ids, draft.counts, len(vocabulary)).astype(int)
    vocabulary.save(folder / "vocabulary.json")
    write_digests(streams, folder)
    train, valid = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("train", "valid"))
    per_character = streams["valid"].tokens / streams["valid"].characters
    description = {
        "corpus": params.corpus.name,
        "characters": draft.characters,
        "dropped_share": draft.dropped_share,
        **text.describe(frequencies, streams),
        **compressors.bits_per_character(train, valid, vocabulary, per_character),
    }
    write_record(root / "metrics/tokenize.json", description)


if __name__ == "__main__":
    stage.run(main)
