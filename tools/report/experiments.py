"""The experiments that DVC knows, for the report on a sweep and as a table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from dvc.api import exp_show
from dvc.utils.flatten import flatten
from tabulate import tabulate

from lstm_lm.comparison.measures import LABELS, shown_in
from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from tools.project import repository, resolve
from tools.report.difference import base_argument
from tools.report.headline import write

_INPUTS = ("data/raw", "src/", "stages/")
_DRAWING = {"src/lstm_lm/comparison", "stages/compare.py"}
"""Dependencies of the pipeline that no perplexity depends on."""


class Experiments(NamedTuple):
    """Tables with one row for each experiment, under its name; the first row is the revision that they started from.

    `params` has the parameters under DVC's names, `measures` the numbers under (measure's title, model), or NaN.
    `states` is "success", "queued", "running" or "failed". `inputs` has the hashes of the text and the code behind the
    perplexities, under their paths.
    """

    params: pd.DataFrame
    measures: pd.DataFrame
    states: pd.Series
    inputs: pd.DataFrame


def main(params: Params, root: Path) -> None:
    """Print the table of the experiments that started from BASE."""
    say(table(collect(params, root, base_argument())))


def collect(params: Params, root: Path, base: str) -> Experiments:
    """The experiments that started from the revision `base`.

    Raises:
        ValueError: DVC cannot tell, or there are none; the message names revisions that have some.
    """
    with repository(root) as repo:
        rows = [row for row in exp_show(str(root), revs=resolve(root, base)) if row["rev"] != "workspace"]
        bases = [commit[:7] for commit in repo.experiments.ls(all_commits=True)]
    if len(rows) == 1:
        where = f"add BASE=<revision>; these have some: {', '.join(bases)}" if bases else "dvc exp run makes one"
        raise ValueError(f"no experiment started from {base}: {where}")
    return experiments(rows, list(flatten(params.model_dump())))


def experiments(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Experiments:
    """Rows of `dvc.api.exp_show`, a revision and its experiments, with the parameters that `names` lists.

    The metrics of an experiment that waits, runs or failed are those of the revision, and are left out.
    """
    index = [row["Experiment"] or row["rev"] for row in rows]
    states = pd.Series([(row["State"] or "success").lower() for row in rows], index)
    params = {name: [_cell(row, "params.yaml", name) for row in rows] for name in names}
    measures = {
        (measure.title, model): [_cell(row, f"metrics/{model}.json", name) for row in rows]
        for name, measure in shown_in("experiments").items()
        for model in LABELS
    }
    numbers = pd.DataFrame(measures, index).apply(pd.to_numeric, errors="coerce")
    numbers.loc[states != "success"] = float("nan")
    inputs = [{key: row[key] for key in row if key.startswith(_INPUTS) and key not in _DRAWING} for row in rows]
    return Experiments(
        pd.DataFrame(params, index, dtype=object), pd.DataFrame(numbers), states, pd.DataFrame(inputs, index)
    )


def table(found: Experiments) -> str:
    """For each experiment what it changed, and a line for each model; at most 100 columns wide."""
    start, shown = found.params.iloc[0], shown_in("experiments").values()
    rows = []
    for place, (name, params) in enumerate(found.params.iterrows()):
        changed = "\n".join(f"{key}={value}" for key, value in params.items() if value != start[key])
        state = found.states.iloc[place]
        numbers = found.measures.iloc[place]
        rows.append(
            [
                f"{name}" if state == "success" else f"{name}\n({state})",
                changed,
                "\n".join(LABELS),
                *(
                    "\n".join(write(_known(numbers[measure.title, model]), measure.form) for model in LABELS)
                    for measure in shown
                ),
            ]
        )
    titles = [measure.title.replace(" ", "\n") for measure in shown]
    columns = (*["left"] * 3, *["right"] * len(titles))
    widths = [12, 25, *[None] * (1 + len(titles))]
    return tabulate(
        rows, ["experiment", "changed", "model", *titles], colalign=columns, maxcolwidths=widths, disable_numparse=True
    )


def _cell(row: Mapping[str, Any], path: str, key: str) -> Any:
    """A value of `exp_show`, which names the file as well where two files have the key; whole numbers without ".0"."""
    value = row.get(f"{path}:{key}", row.get(key))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known(number: float) -> float | None:
    return None if pd.isna(number) else number


if __name__ == "__main__":
    stage.run(main)
