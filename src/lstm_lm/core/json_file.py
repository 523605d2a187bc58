"""JSON files, read through a model that says what must be in them."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import Field, ValidationError

from lstm_lm.core.yaml_file import Section, complaint, validate

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**63)]


class Content(Section, extra="ignore"):
    """What is read of a JSON file; its other keys are ignored."""


def load_json(path: Path, model: type[Content]) -> dict[str, Any]:
    """The keys of a JSON file that `model` has.

    Raises:
        ValueError: the file is not JSON, or not as `model` says; one line names the file and the key.
        OSError: the file cannot be read.
    """
    return validate(read_json(path), model, path).model_dump(exclude_unset=True)


def read_json(path: Path) -> dict[str, Any]:
    """The keys of a JSON file. Raises ValueError as `parse_json`, and OSError."""
    return parse_json(path.read_bytes(), path)


def parse_json(text: bytes, path: Path) -> dict[str, Any]:
    """The keys of the JSON file `path`, also from within a list (see `write_record`).

    Raises:
        ValueError: the file is not JSON or does not hold keys.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
        json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair could be written nowhere
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if isinstance(content, list) and len(content) == 1:
        (content,) = content
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and their values")
    return content


def check_keys(content: dict[str, Any], model: type[Content], path: Path) -> None:
    """Check the keys of `model` that are there, as of an earlier version of the file. Raises ValueError."""
    try:
        model.model_validate(content)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != "missing":
                raise ValueError(f"{path}: {complaint(details)}") from error


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity, which Python reads although JSON has no such numbers."""
    raise ValueError(f"{constant} is no number of JSON")
