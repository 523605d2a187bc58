"""The splits as streams of token ids in files, (tokens,) each, in the smallest unsigned type."""

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from lstm_lm.core.atomic import replacing, write_json
from lstm_lm.tokens.draft import Draft
from lstm_lm.tokens.tokenizer import LINE_END

DIGESTS = "digests.json"
TRAINED = ("train", "valid")
"""The splits that a training reads; it need not run again when the test split alone changes."""


class Stream(NamedTuple):
    """What a file holds: `tokens` of which so many are `unknown`; level `char` makes `characters` of the same text."""

    tokens: int
    unknown: int
    characters: int
    sha256: str


def write_streams(draft: Draft, splits: Mapping[str, range], ids: np.ndarray, folder: Path) -> dict[str, Stream]:
    """Write each split to <name>.npy in `folder`; the files take their places together.

    Args:
        draft: the corpus.
        splits: the positions of each split in the draft.
        ids: the id of each type of the draft, (types,).
        folder: where to.

    Raises:
        OSError: a file cannot be written.
    """
    characters = _characters(draft, splits)
    with ExitStack() as together:
        return {
            name: _write(together.enter_context(replacing(folder / f"{name}.npy")), draft, part, ids, characters[name])
            for name, part in splits.items()
        }


def write_digests(streams: Mapping[str, Stream], folder: Path) -> None:
    """Write the SHA-256 of the streams that a training reads: nobody need read them whole to tell them apart."""
    write_json(folder / DIGESTS, {name: streams[name].sha256 for name in TRAINED})


def read_digests(folder: Path) -> dict[str, str]:
    """What `write_digests` wrote. Raises ValueError where it is something else, OSError."""
    try:
        digests = json.loads((folder / DIGESTS).read_bytes())
        return {name: str(digests[name]) for name in TRAINED}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{folder / DIGESTS} is damaged; run the tokenize stage again") from error


def _write(file: BinaryIO, draft: Draft, part: range, ids: np.ndarray, characters: int) -> Stream:
    header = io.BytesIO()
    shape = {"descr": np.lib.format.dtype_to_descr(ids.dtype), "fortran_order": False, "shape": (len(part),)}
    np.lib.format.write_array_header_1_0(header, shape)
    digest, unknown = hashlib.sha256(header.getvalue()), 0
    file.write(header.getvalue())
    for types in draft.read(part):
        block = ids.take(types)
        unknown += len(block) - int(np.count_nonzero(block))
        digest.update(block.data)
        file.write(block.data)
    file.flush()  # a full disk is noticed before any of the files takes its place
    return Stream(len(part), unknown, characters, digest.hexdigest())


def _characters(draft: Draft, splits: Mapping[str, range]) -> dict[str, int]:
    """How many characters level `char` makes of each split: of a whole text exactly, of a part its share."""
    if draft.tokenizer.level == "char":
        return {name: len(part) for name, part in splits.items()}
    ratios = {text: length / _spelled(draft, text) for text, length in zip(draft.parts, draft.lengths, strict=True)}
    texts = {name: next(text for text in draft.parts if part[0] in text) for name, part in splits.items()}
    return {name: round(_spelled(draft, part) * ratios[texts[name]]) for name, part in splits.items()}


def _spelled(draft: Draft, part: range) -> int:
    """How long the text is that words stand for, as `Tokenizer.join` writes it."""
    widths = np.array([1 if word == LINE_END else len(" " + word) for word in draft.types])
    widths = widths.astype(np.min_scalar_type(widths.max()))
    line_end = draft.types.index(LINE_END) if LINE_END in draft.types else len(draft.types)
    characters, begins = 0, True
    for block in draft.read(part):
        ends = block == line_end
        no_space = ~ends & np.concatenate(([begins], ends[:-1]))  # the first word of a line
        characters += int(widths.take(block).sum(dtype=np.int64)) - int(np.count_nonzero(no_space))
        begins = ends[-1]
    return characters
