"""Run the whole pipeline again in a copy of the project and compare every committed result with what comes out.

With the name of a recipe on the command line, its parameters and results are used instead of the project's.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from lstm_lm.comparison.measures import LABELS
from lstm_lm.core.params import load_params
from lstm_lm.core.printable import fail, say
from tools.checks.verdict import ALL_ALONG, AT_FIRST, ENVIRONMENT, Bound, Status, compare, is_deterministic
from tools.project import copied, dvc, outputs
from tools.recipes.recipe import apply, changes, load_recipe, results_folder


def prepare(name: str, project: Path) -> tuple[Path, Bound]:
    """Give `project`, a copy, the parameters of a recipe, if `name` is one.

    Returns:
        The folder of the committed results, and what is allowed to curves of another kind of machine.

    Raises:
        ValueError: there is no such recipe, it is not valid, it has no results yet, or those of other parameters.
    """
    if not name:
        return project, AT_FIRST
    recipe = load_recipe(name, project)
    folder = results_folder(name, recipe, project)
    if not (folder / "dvc.lock").exists():
        raise ValueError(f"there are no committed results of recipe {name} to compare with")
    if changed := changes(name, recipe, project):
        raise ValueError(
            f"the committed results of recipe {name} have other parameters ({changed}): "
            f"change params.yaml back, or run the recipe again with make recipe NAME={name}"
        )
    apply(name, recipe, project)
    return folder, ALL_ALONG if recipe.params else AT_FIRST


def report(committed: Mapping[str, bytes], now: Mapping[str, bytes], bound: Bound = AT_FIRST) -> bool:
    """Print one line for each result and a last one; whether nothing is different."""
    names = sorted(committed.keys() | now.keys())
    same = [model for model in LABELS if _same_kind(model, committed, now)]
    verdicts = {name: compare(name, committed.get(name), now.get(name), same, bound) for name in names}
    width = max(len(name) for name in names)
    for name, (status, detail) in verdicts.items():
        say(f"{name:<{width}}  {status:<14}  {detail}".rstrip())
    different = sum(status is Status.DIFFERENT for status, _ in verdicts.values())
    deterministic = [verdicts[name].status for name in names if is_deterministic(name)]
    identical = deterministic.count(Status.IDENTICAL)
    say("")
    for model, label in LABELS.items():
        kind = "the same kind of machine as" if model in same else "another kind of machine than"
        say(f"For the model {label} this is {kind} the one that made the committed results.")
    say(f"Deterministic results: {identical} of {len(deterministic)} are identical.")
    say(f"{different} of {len(names)} results are different." if different else "The results are reproduced.")
    return not different


def _same_kind(model: str, committed: Mapping[str, bytes], now: Mapping[str, bytes]) -> bool:
    environment = ENVIRONMENT.replace("*", model)
    return committed.get(environment) == now.get(environment)


def main() -> None:
    """Verify the project in the working directory, or a recipe of it. Exit status 1: it is not reproduced."""
    try:
        with copied(Path(), "verify") as project:
            source, bound = prepare(sys.argv[1] if len(sys.argv) > 1 else "", project)
            committed = outputs(source)
            bound = bound._replace(patient=load_params(project / "params.yaml").train.patience is not None)
            if dvc(project, "repro", "--force") != 0:
                fail("verify: the pipeline failed (see above)")
            reproduced = report(committed, outputs(project), bound)
    except KeyboardInterrupt:
        fail("verify: stopped")
    except (ValueError, OSError) as error:
        fail(f"verify: {error}")
    sys.exit(0 if reproduced else 1)


if __name__ == "__main__":
    main()
