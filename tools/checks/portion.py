"""What a result that may be about both models holds of one: values in JSON, a column of a table, lines of text."""

import csv
import io
import json
from fnmatch import fnmatch
from typing import Any

from lstm_lm.comparison.measures import LABELS


def models(name: str) -> list[str]:
    """The models that a result is about, by its path."""
    return [model for model in LABELS if model in name] or list(LABELS)


def portion(name: str, content: bytes, model: str) -> object:
    """What a result under this path holds of a model; None where that cannot be told apart."""
    if fnmatch(name, "metrics/*.json"):
        return _values(json.loads(content), model)
    if name.endswith(".tsv"):
        return [row.get(model) for row in csv.DictReader(io.StringIO(content.decode()), delimiter="\t")]
    if name.endswith(".txt"):
        return [line for line in content.decode().splitlines() if line.startswith(model)]
    return None


def _values(content: Any, model: str) -> list[Any]:
    """What stands under the model's name, and the rows of a list that name it."""
    if isinstance(content, list):
        return [found for item in content for found in ([item] if _names(item, model) else _values(item, model))]
    if isinstance(content, dict):
        return [
            found for key, value in content.items() for found in ([value] if key == model else _values(value, model))
        ]
    return []


def _names(item: Any, model: str) -> bool:
    return isinstance(item, dict) and item.get("model") == model
