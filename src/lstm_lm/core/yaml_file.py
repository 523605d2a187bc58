"""YAML files, read into frozen, validated models."""

import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

_Model = TypeVar("_Model", bound=BaseModel)


class Section(BaseModel):
    """Keys and values of a YAML file: exactly these keys and types, immutable.

    The string under a field is its description.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def load_yaml(path: Path, model: type[_Model]) -> _Model:
    """Read and validate a YAML file. Raises ValueError and OSError as `read_yaml` and `validate`."""
    return validate(read_yaml(path), model, path)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file.

    Raises:
        ValueError: the file is not YAML, has a key twice, or does not hold keys.
        OSError: the file cannot be read.
    """
    try:
        content = yaml.load(path.read_bytes(), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        where = str(error).replace('in "<byte string>", ', "at ")
        raise ValueError(f"{path} is not valid YAML: {' '.join(where.split())}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and their values")
    return content


def validate(content: dict[str, Any], model: type[_Model], path: Path) -> _Model:
    """Validate the content of `path`.

    Raises:
        ValueError: a key is unknown, missing, of the wrong type or out of range; one line names the file, the key,
            the value and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {complaint(error.errors(include_url=False)[0])}") from error


def complaint(error: ErrorDetails) -> str:
    """One line for one of pydantic's complaints: key, value, what is allowed."""
    key = _cut(repr(".".join(str(part) for part in error["loc"]))[1:-1])
    if error["type"] == "value_error":
        said = str(error.get("ctx", {}).get("error"))
        return f"{key} is {shown(error['input'])}; {said}" if isinstance(error["input"], str) else said
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if error["type"] == "missing":
        return f"missing key {key}"
    return f"{key} is {shown(error['input'])}; {error['msg'][0].lower()}{error['msg'][1:]}"


def shown(value: object) -> str:
    """A value for a message, shortened."""
    return _cut(reprlib.repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2, as DVC reads it; a duplicate key is an error.

    What PyYAML's 1.1 would read as another number than DVC (010 as octal, 1:30 as sixtieths) stays a string, which
    no number may be; 1e-3 is a number.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # For a tag that does not fit its value, such as !!int abc, PyYAML raises Python's own errors.
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"this is no {kind}", node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", "[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", "<<", ["<"]),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^({_pattern})$"), _first)
