"""What each recipe reached, beside what others have published: rows of tables, from the committed files."""

from pathlib import Path
from typing import NamedTuple

from lstm_lm.comparison.measures import (
    COMPRESSORS_MEASURE,
    LABELS,
    MEASURES,
    beside_the_book,
    compressed,
    shown_in,
    with_few_tokens,
)
from lstm_lm.comparison.metrics import Generated, Tokenize, read
from tools.markdown import link
from tools.recipes.recipe import Published, load_recipe, names, results_folder


class Headline(NamedTuple):
    """A recipe in the measure that it is judged by: our figures in the order of `LABELS`, others' as (figure, who)."""

    name: str
    title: str
    measure: str
    ours: list[str]
    others: list[tuple[str, str]]


def reached(name: str, root: Path) -> dict[str, dict[str, float]]:
    """The measures of each model of a recipe, none where it was not run."""
    folder = results_folder(name, load_recipe(name, root), root)
    if not (folder / "dvc.lock").exists():
        return {model: {} for model in LABELS}
    shown = shown_in("recipes", without=with_few_tokens(read(folder, "tokenize", Tokenize)))
    return {
        model: {name: measure.value(folder, model) for name, measure in shown.items() if measure.is_in(folder, model)}
        for model in LABELS
    }


def compressors(name: str, root: Path) -> dict[str, str]:
    """What compressors of the recipe's own validation text reach, by their names; nothing where it was not run."""
    folder = results_folder(name, load_recipe(name, root), root)
    found = compressed(folder) if (folder / "dvc.lock").exists() else {}
    return {label: format(bits, MEASURES[COMPRESSORS_MEASURE].form) for label, bits in found.items()}


def sample(name: str, root: Path) -> str:
    """What the model from scratch wrote after the first prefix, sampled, with the prefix; "" where it was not run."""
    folder = results_folder(name, load_recipe(name, root), root)
    if not (folder / "dvc.lock").exists():
        return ""
    texts = read(folder, "generated", Generated)["texts"]
    return next(
        (row["prefix"] + row["text"] for row in texts if (row["model"], row["mode"]) == ("scratch", "sampled")), ""
    )


def rows(name: str, root: Path) -> list[list[object]]:
    """Who, and a cell for each measure: our models, then compressors, then the others."""
    columns = shown_in("recipes")
    ours: list[list[object]] = [
        [label if found else f"{label}, not run", *(_ours(found, column) for column in columns)]
        for label, found in zip(LABELS.values(), reached(name, root).values(), strict=True)
    ]
    baselines: list[list[object]] = [
        [label, *(bits if column == COMPRESSORS_MEASURE else "" for column in columns)]
        for label, bits in compressors(name, root).items()
    ]
    theirs: list[list[object]] = [
        [link(other.who, other.source), *(_theirs(other.figures, column) for column in columns)]
        for other in _published(name, root)
    ]
    return ours + baselines + theirs


def headlines(root: Path) -> list[Headline]:
    """Each recipe beside what others reach.

    Raises:
        ValueError: a recipe is not valid, or a metrics file lacks a key.
    """
    found: list[Headline] = []
    for name in names(root):
        recipe = load_recipe(name, root)
        judged = recipe.headline
        others = [
            (_theirs(other.figures, judged), other.who) for other in _published(name, root) if judged in other.figures
        ]
        if judged == COMPRESSORS_MEASURE:
            others += [(bits, label) for label, bits in compressors(name, root).items()]
        ours = [_ours(got, judged) if got else "not run" for got in reached(name, root).values()]
        found.append(Headline(name, recipe.title, MEASURES[judged].column, ours, others))
    return found


def _published(name: str, root: Path) -> list[Published]:
    """What others report; beside the default run nothing, where its tokens are not the book's."""
    recipe = load_recipe(name, root)
    return recipe.published if recipe.params or beside_the_book(root) else []


def _ours(found: dict[str, float], name: str) -> str:
    return format(found[name], MEASURES[name].form) if name in found else ""


def _theirs(found: dict[str, float], name: str) -> str:
    """As they give it."""
    return f"{found[name]:,}" if name in found else ""
