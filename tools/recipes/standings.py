"""What each recipe reached, beside what others have published: rows of tables, from the committed files."""

import math
from pathlib import Path

from lstm_lm.comparison.measures import LABELS, read
from tools.recipes.recipe import Figure, load_recipe, names, place, results_folder

FEW_TOKENS = 1000
"""The perplexity of fewer tokens says nothing and is not shown."""

COLUMNS: dict[Figure, tuple[str, str]] = {
    "train_perplexity": ("train perplexity", ",.2f"),
    "valid_perplexity": ("validation perplexity", ",.2f"),
    "test_perplexity": ("test perplexity", ",.2f"),
    "valid_nats": ("validation nats per token", ".4f"),
    "valid_bits_per_character": ("validation bits per character", ".3f"),
    "tokens_per_second": ("tokens/s", ",.0f"),
    "minutes": ("minutes of training", ".1f"),
}
"""Figure -> its header, and how ours is written; what others have published is written as they give it."""


def figures(root: Path, model: str) -> dict[Figure, float]:
    """What a model reached, from the metrics below `root`. Raises OSError, KeyError."""
    scores, throughput = read(root, "evaluate")[model], read(root, f"throughput_{model}")
    found: dict[Figure, float] = {
        "train_perplexity": read(root, f"train_{model}")["perplexity"],
        "valid_perplexity": scores["valid"]["perplexity"],
        "valid_nats": math.log(scores["valid"]["perplexity"]),
        "valid_bits_per_character": scores["valid"]["bits_per_character"],
        "tokens_per_second": throughput["tokens_per_second"],
        "minutes": throughput["seconds"] / 60,
    }
    if read(root, "tokenize")["test_tokens"] >= FEW_TOKENS:
        found["test_perplexity"] = scores["test"]["perplexity"]
    return found


def reached(name: str, root: Path) -> dict[str, dict[Figure, float]]:
    """The figures of each model of a recipe, no figures where it was not run. Raises OSError, KeyError, ValueError."""
    folder = results_folder(name, load_recipe(name, root), root)
    has_run = (folder / "dvc.lock").exists()
    return {model: figures(folder, model) if has_run else {} for model in LABELS}


def rows(name: str, root: Path) -> list[list[str]]:
    """Who, and a cell for each of `COLUMNS`: our models, then the others. Raises OSError, KeyError, ValueError."""
    ours = [
        [label if found else f"{label}, not run", *(_ours(found, column) for column in COLUMNS)]
        for label, found in zip(LABELS.values(), reached(name, root).values(), strict=True)
    ]
    theirs = [
        [f"[{other.who}]({other.source})", *(_theirs(other.figures, column) for column in COLUMNS)]
        for other in load_recipe(name, root).published
    ]
    return ours + theirs


def headlines(root: Path) -> list[list[str]]:
    """Each recipe in the figure that it is judged by: name and title, the figure, what others published, ours.

    Raises:
        OSError, KeyError, ValueError: as `rows`.
    """
    found = []
    for name in names(root):
        recipe = load_recipe(name, root)
        judged = recipe.headline
        published = [
            f"{_theirs(other.figures, judged)} ({other.who})" for other in recipe.published if judged in other.figures
        ]
        ours = [_ours(got, judged) if got else "not run" for got in reached(name, root).values()]
        found.append([f"[{name}]({place(name)})", recipe.title, COLUMNS[judged][0], "; ".join(published), *ours])
    return found


def _ours(found: dict[Figure, float], column: Figure) -> str:
    return format(found[column], COLUMNS[column][1]) if column in found else ""


def _theirs(found: dict[Figure, float], column: Figure) -> str:
    return f"{found[column]:,}" if column in found else ""
