"""The panel of passages: what each model expected at each token, and what the units of its cells did."""

import math
from pathlib import Path
from typing import Any

from lstm_lm.comparison.measures import LABELS, SPLITS
from lstm_lm.comparison.metrics import Passages, Units, read
from lstm_lm.comparison.plots import BITS_PER_SHADE, SHADES, shade
from lstm_lm.core.json_file import load_json

_SHOWN = ("train", "valid")
_INVISIBLE = {" ": "␣", "\n": "↵", "<eos>": "↵", "\t": "⇥"}
_UNITS = "data/units.json"


def panel(root: Path) -> dict[str, Any]:
    """The panel: `passages` are in the page's text, `data` is what its script shows on demand.

    `missing` says why there are no passages or no units of the cells, "" where there are. Raises ValueError as
    `load_json`.
    """
    try:
        found = read(root, "passages", Passages)
        passages = [_passage(split, found[split]) for split in _SHOWN]
        tokens = {split: {model: [_token(row[model]) for row in found[split]] for model in LABELS} for split in _SHOWN}
        units, missing = _units(root, {split: len(found[split]) for split in _SHOWN})
    except FileNotFoundError:
        found, passages, tokens, units = {split: [] for split in _SHOWN}, [], {}, {}
        missing = "No passage is shown: metrics/passages.json is not here (dvc repro makes it)."
    texts = {split: [_visible(row["text"]) for row in found[split]] for split in _SHOWN}
    data = {"labels": LABELS, "texts": texts, "tokens": tokens, "units": units}
    return {"passages": passages, "data": data, "missing": missing, "scale": _scale()}


def _scale() -> list[tuple[int, str]]:
    """The steps of the scale of shades, with their bits."""
    return [(step, f"{step * BITS_PER_SHADE:g}" + ("+" if step == SHADES else "")) for step in range(SHADES + 1)]


def _passage(split: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A split's passage: for each model its tokens with their shades, and their mean surprisal."""
    return {
        "split": split,
        "title": SPLITS[split],
        "models": {
            model: {
                "mean": math.fsum(row[model]["bits"] for row in rows) / len(rows),
                "tokens": [(row["text"].replace("\n", "↵\n"), shade(row[model]["bits"])) for row in rows],
            }
            for model in LABELS
        },
    }


def _token(expected: dict[str, Any]) -> list[Any]:
    """A token's surprisal, then the likeliest tokens with their probabilities."""
    return [expected["bits"], *([_visible(token), p] for token, p in expected["likeliest"].items())]


def _visible(text: str) -> str:
    """A token that can be seen: a symbol for a space or line end, a word without the space before it."""
    return _INVISIBLE.get(text) or text.removeprefix(" ")


def _units(root: Path, lengths: dict[str, int]) -> tuple[dict[str, Any], str]:
    """The units of the cells, and why there are none."""
    why = f"The units of the cells are not shown: {_UNITS} is"
    try:
        units = load_json(root / _UNITS, Units)
    except FileNotFoundError:
        return {}, f"{why} not here (dvc pull or dvc repro brings it)."
    if any(found["tokens"] != lengths for found in units.values()):
        return {}, f"{why} about other passages (dvc checkout brings the right one)."
    return units, ""
