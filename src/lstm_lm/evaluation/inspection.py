"""What the evaluate stage finds in passages, and the files that it writes."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lstm_lm.core import threads
from lstm_lm.core.atomic import write_text
from lstm_lm.evaluation.feature import features
from lstm_lm.evaluation.passage import choose, positions
from lstm_lm.evaluation.reading import Reading, read, series
from lstm_lm.evaluation.unit import units
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import surprisal
from lstm_lm.tokens.tokenizer import Tokenizer, one_line
from lstm_lm.tokens.vocabulary import Vocabulary

HEAD = 10_000
"""The most tokens that the models read of a split; the passage is in their middle."""
SHOWN = ("train", "valid")
"""The splits on whose passages the units of the cells are followed."""
FEWEST = 100
"""Tokens of these passages from which on units are said to follow a feature; along fewer, one does so by chance."""


class Text(NamedTuple):
    """The head of a split: its token ids, (tokens,), the text of each, and the passage in it."""

    stream: np.ndarray
    pieces: Sequence[str]
    passage: range


class Inspection(NamedTuple):
    """What was found in each split; surprisal is in bits per token.

    Attributes:
        level: of the tokens, char or word.
        passages: the tokens of the passage as rows for JSON.
        along: the surprisal of each token of the passage.
        by_position: mean surprisal over the head, by position of a letter in its word, or of a word in its line.
        units: those of the cells, for each model.
    """

    level: str
    passages: dict[str, list[dict[str, Any]]]
    along: dict[str, pd.DataFrame]
    by_position: dict[str, pd.DataFrame]
    units: dict[str, Any]


@threads.limited(1)  # a single row is too little work for several
def inspect(
    models: Mapping[str, LanguageModel], streams: Mapping[str, np.ndarray], vocabulary: Vocabulary, length: int
) -> Inspection:
    """Let the models read the head of each split from the zero state; inspect a passage of `length` tokens in it."""
    tokenizer = vocabulary.tokenizer
    texts = {split: _text(stream[:HEAD], tokenizer, vocabulary, length) for split, stream in streams.items()}
    bits = {split: {kind: _bits(model, text) for kind, model in models.items()} for split, text in texts.items()}
    readings = {
        split: {kind: read(model, text.stream, text.passage) for kind, model in models.items()}
        for split, text in texts.items()
    }
    return Inspection(
        tokenizer.level,
        {split: _rows(text, bits[split], readings[split], vocabulary) for split, text in texts.items()},
        {split: _along(text, bits[split]) for split, text in texts.items()},
        {split: _by_position(text, bits[split], tokenizer.level) for split, text in texts.items()},
        _units(models, {split: texts[split] for split in SHOWN}, readings, tokenizer.level),
    )


def write(found: Inspection, corpus: str, root: Path) -> None:
    """Write metrics/passages.json, plots/surprisal{,_by_position}_<split>.tsv and data/units.json."""
    write_text(root / "metrics/passages.json", as_json(corpus, found.level, found.passages))
    write_text(root / "data/units.json", json.dumps(found.units, allow_nan=False) + "\n")
    for name, tables in (("surprisal", found.along), ("surprisal_by_position", found.by_position)):
        for split, table in tables.items():
            content = table.to_csv(sep="\t", lineterminator="\n", float_format="%.4f")
            write_text(root / f"plots/{name}_{split}.tsv", content)


def as_json(corpus: str, level: str, passages: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The passages as JSON, a line for each token."""
    parts = [f'"corpus": {json.dumps(corpus)}', f'"level": {json.dumps(level)}']
    for split, rows in passages.items():
        lines = ",\n    ".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
        parts.append(f"{json.dumps(split)}: [\n    {lines}\n  ]")
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def _text(stream: np.ndarray, tokenizer: Tokenizer, vocabulary: Vocabulary, length: int) -> Text:
    pieces = list(tokenizer.spelled(vocabulary.tokens[token] for token in stream.tolist()))
    return Text(stream, pieces, choose(pieces, length))


def _bits(model: LanguageModel, text: Text) -> list[float]:
    """Surprisal of all tokens but the first, in bits."""
    return [nats / math.log(2) for nats in surprisal(model, text.stream).tolist()]


def _rows(
    text: Text, bits: Mapping[str, Sequence[float]], readings: Mapping[str, Reading], vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    """For each token of the passage its text, its surprisal in each model, and the likeliest tokens there."""
    rows = []
    for place, number in enumerate(text.passage):
        row: dict[str, Any] = {"text": text.pieces[number]}
        for kind, reading in readings.items():
            likeliest = zip(reading.likeliest[place].tolist(), reading.chances[place].tolist(), strict=True)
            row[kind] = {
                "bits": round(bits[kind][number - 1], 4),
                "likeliest": {vocabulary.tokens[token]: round(value, 4) for token, value in likeliest},
            }
        rows.append(row)
    return rows


def _along(text: Text, bits: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Surprisal of each token of the passage, numbered from 1."""
    columns = {kind: [values[number - 1] for number in text.passage] for kind, values in bits.items()}
    token = [one_line(text.pieces[number]) for number in text.passage]
    return pd.DataFrame({"token": token, **columns}, pd.RangeIndex(1, len(token) + 1, name="place"))


def _by_position(text: Text, bits: Mapping[str, Sequence[float]], level: str) -> pd.DataFrame:
    """Mean surprisal and number of the tokens at each position; empty where there is only one position."""
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for number, position in enumerate(positions(text.pieces, level)[1:]):
        numbers[position].append(number)
    rows = {
        position: {"tokens": len(those)}
        | {kind: math.fsum(values[number] for number in those) / len(those) for kind, values in bits.items()}
        for position, those in sorted(numbers.items())
        if len(numbers) > 1
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["tokens", *bits])
    return table.rename_axis("position")


def _units(
    models: Mapping[str, LanguageModel],
    texts: Mapping[str, Text],
    readings: Mapping[str, Mapping[str, Reading]],
    level: str,
) -> dict[str, Any]:
    """For each model the units that follow a feature of the texts most strongly; see `unit.units`."""
    named: defaultdict[str, list[float]] = defaultdict(list)
    for text in texts.values():
        for name, numbers in features(text.pieces, level).items():
            named[name] += [numbers[number] for number in text.passage]
    tokens = sum(len(text.passage) for text in texts.values())
    varying = {name: numbers for name, numbers in named.items() if len(set(numbers)) > 1 and tokens >= FEWEST}
    return {
        kind: units(
            {split: series(model, readings[split][kind]) for split in texts},
            varying or {"nothing that has a name": [0.0] * tokens},
            model.architecture.hidden,
        )
        for kind, model in models.items()
    }
