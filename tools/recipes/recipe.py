"""Recipes: named parameters whose results are committed, and what others have published for the same task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field

from lstm_lm.comparison.measures import shown_in
from lstm_lm.core.atomic import write_text
from lstm_lm.core.params import MOVED, Params
from lstm_lm.core.yaml_file import Section, load_yaml, read_yaml, shown, validate

RECIPES = Path("recipes")


def _measure(name: str) -> str:
    if name not in (known := shown_in("recipes")):
        raise ValueError(f"allowed are {', '.join(known)}")
    return name


MeasureName = Annotated[str, AfterValidator(_measure)]
"""A measure in which recipes are compared."""


class Published(Section):
    """What others report: who with what, a link, and their numbers."""

    who: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(pattern=r"^https?://\S+$")]
    figures: dict[MeasureName, int | float]


class Recipe(Section):
    """A recipe.

    Attributes:
        title: what it is, in a few words.
        headline: the measure in which it is compared with what others have published.
        params: the text, how it is tokenised, and what else differs from params.yaml, as nested as there. Without it,
            the recipe is the default run.
        published: the numbers of others, the most important first.
    """

    title: Annotated[str, Field(min_length=1)]
    headline: MeasureName
    params: dict[str, Any] = Field(default_factory=dict)
    published: list[Published] = Field(default_factory=list)


class NoRecipe(ValueError):
    """There is no recipe of this name."""


def names(root: Path) -> list[str]:
    """The recipes of the project in `root`."""
    return sorted(path.parent.name for path in (root / RECIPES).glob("*/recipe.yaml"))


def place(name: str) -> Path:
    """The file of a recipe in a project."""
    return RECIPES / name / "recipe.yaml"


def load_recipe(name: str, root: Path) -> Recipe:
    """Read a recipe of the project in `root`.

    Raises:
        NoRecipe: there is no such recipe.
        ValueError: it is not valid.
    """
    if name not in names(root):
        known = ", ".join(names(root)) or "none"
        raise NoRecipe(f"there is no recipe {name!r}: NAME=... ({known})")
    return load_yaml(root / place(name), Recipe)


def results_folder(name: str, recipe: Recipe, root: Path) -> Path:
    """The folder of a recipe's dvc.lock, metrics/ and plots/; for the default run, the project."""
    return root / RECIPES / name if recipe.params else root


def parameters(name: str, recipe: Recipe, root: Path) -> dict[str, Any]:
    """All parameters of a recipe: params.yaml of the project in `root`, and what the recipe changes.

    Raises:
        ValueError: they are not valid together; one line names the key.
    """
    overlaid = _overlaid(read_yaml(root / "params.yaml"), recipe.params)
    validate(overlaid, Params, place(name))
    return overlaid


def changes(name: str, recipe: Recipe, root: Path) -> str:
    """How the parameters of a recipe differ from those of its results: "key: old -> new", "" where they do not.

    A parameter that the results do not have is as null. Raises ValueError as `parameters`.
    """
    from dvc.utils.flatten import flatten  # benchmarks.gpu, which loads recipes, needs no DVC

    lock = results_folder(name, recipe, root) / "dvc.lock"
    stages = read_yaml(lock)["stages"].values() if lock.exists() else []
    used = {
        MOVED.get(key, key): value
        for stage in stages
        for key, value in stage.get("params", {}).get("params.yaml", {}).items()
    }
    listed = tuple(f"{key}." for key in used)  # sections such as train, and single parameters
    before, now = flatten(used), flatten(parameters(name, recipe, root))
    return ", ".join(
        f"{key}: {shown(before.get(key))} -> {shown(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and f"{key}.".startswith(listed)
    )


def apply(name: str, recipe: Recipe, project: Path) -> None:
    """Write the parameters of a recipe to params.yaml of `project`, a copy. Raises ValueError as `parameters`."""
    text = yaml.safe_dump(parameters(name, recipe, project), sort_keys=False, allow_unicode=True)
    write_text(project / "params.yaml", text)


def _overlaid(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _overlaid(base[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **changes, **both}
