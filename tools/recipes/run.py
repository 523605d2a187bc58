"""`make recipe NAME=...`: run the pipeline with a recipe's parameters in a copy, and keep the results.

The copy shares DVC's cache and the checkpoints of the project, so an interrupted run resumes when it is started again.
"""

import sys
from pathlib import Path

from lstm_lm.core.atomic import write_bytes
from lstm_lm.core.printable import fail, say
from tools.project import configure, copied, dvc, outputs, repository
from tools.recipes.recipe import apply, changes, load_recipe, names, place, results_folder


def run(name: str, root: Path) -> Path:
    """Run a recipe of the project in `root`, as committed, and bring its results there.

    Returns:
        The folder of the results.

    Raises:
        ValueError: there is no such recipe, it is not valid or not committed, or a stage failed.
    """
    recipe = load_recipe(name, root)
    with copied(root, "recipe") as project:
        if name not in names(project) or load_recipe(name, project) != recipe:
            raise ValueError(f"{place(name)} is not committed as it is: commit it first")
        if changed := changes(name, recipe, project):
            say(f"The parameters are other ones than those of the committed results: {changed}.")
        apply(name, recipe, project)
        _share_cache(root, project)
        # The checkpoints go to the project, which outlives the copy.
        if dvc(project, "repro", DVC_ROOT=str(root.resolve())) != 0:
            raise ValueError("the pipeline failed (see above); run the command again to resume")
        destination = results_folder(name, recipe, root)
        kept = [path for path in outputs(project) if path.startswith(("metrics/", "plots/"))]
        for path in (*kept, "dvc.lock"):
            write_bytes(destination / path, (project / path).read_bytes())
        if recipe.params:
            _remove_others(destination, kept)
    return destination


def _remove_others(folder: Path, kept: list[str]) -> None:
    """Remove the results that an earlier version of the pipeline wrote and this one does not."""
    for path in (*folder.glob("metrics/*"), *folder.glob("plots/*")):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()


def titles(root: Path) -> str:
    """A line for each recipe: its name and its title. Raises ValueError as `load_recipe`."""
    width = max((len(name) for name in names(root)), default=0)
    return "\n".join(f"{name:<{width}}  {load_recipe(name, root).title}" for name in names(root))


def _share_cache(root: Path, project: Path) -> None:
    """Let `project`, a copy, use DVC's cache with all settings of `root`, also those not in git. Raises ValueError."""
    with repository(root) as repo:
        cache = str(repo.config["cache"].get("dir") or repo.cache.default_local_cache_dir)
    local = Path(".dvc/config.local")
    if (root / local).exists() and not (project / local).exists():
        write_bytes(project / local, (root / local).read_bytes())
    configure(project, "cache", "dir", cache)


def main() -> None:
    """Run the recipe that the command line names; without a name, list the recipes."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        if not name:
            say(titles(Path()))
            return
        destination = run(name, Path())
    except KeyboardInterrupt:
        fail("recipe: stopped; run the command again to resume")
    except (ValueError, OSError) as error:
        fail(f"recipe: {error}")
    say(f"The results are in {destination.resolve()}: make readme puts them into the tables.")


if __name__ == "__main__":
    main()
