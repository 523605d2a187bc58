"""The report on a sweep: perplexity against the parameter that varies, over seeds."""

from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lstm_lm.comparison.measures import LABELS, MEASURES
from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from tools.report import chart, page
from tools.report.difference import base_argument
from tools.report.experiments import Experiments, collect
from tools.report.figure import Figure
from tools.report.headline import is_text

_SHOWN = {"validation": MEASURES["valid_perplexity"], "train": MEASURES["train_score"]}


class Sweep(NamedTuple):
    """The swept parameter, its values and what else differs ("" for nothing), in order, and every outcome.

    An outcome is about one setting, value, model and split: its seeds, and the arithmetic mean, standard deviation
    (n - 1; NaN for one seed), lowest and highest of their perplexities.
    `left_out` counts the experiments without results, `repeated` those with the parameters of a newer one.
    """

    parameter: str
    values: list[Any]
    settings: list[str]
    outcomes: list[dict[str, Any]]
    left_out: int
    repeated: int


def main(params: Params, root: Path) -> None:
    """Report on the experiments that started from BASE."""
    swept = sweep(collect(params, root, base_argument()))
    say(f"{root / 'report/sweep.html'}: {report(swept, root / 'report')}")


def report(swept: Sweep, folder: Path) -> str:
    """Write sweep.html, sweep.md and their pictures into `folder`; the verdict in a sentence."""
    compared = _compared(swept)
    best = min(compared, key=itemgetter("mean"))
    place = ", ".join(filter(None, [f"{swept.parameter}={best['value']}", best["setting"]]))
    verdict = f"Lowest mean validation perplexity: {best['mean']:,.3f}, {LABELS[best['model']]} at {place}."
    rows = table(swept)
    most = len(best["seeds"])
    if fewer := sum(len(row["seeds"]) < most for row in rows):
        verdict += f" Not compared, with fewer than {most} seeds: {fewer} of {len(rows)} choices."
    if len({outcome["seeds"] for outcome in compared}) > 1:
        verdict += " The compared choices have different seeds."
    run = f"{sum(len(row['seeds']) for row in rows)} experiments with results"
    run += f", {swept.repeated} older with the same parameters" if swept.repeated else ""
    content = {
        "parameter": swept.parameter,
        "labels": LABELS,
        "verdict": verdict,
        "run": run + (f", {swept.left_out} without" if swept.left_out else ""),
        "rows": rows,
    }
    page.write(folder, "sweep", "sweep", {f"sweep_{split}": _figure(swept, split) for split in _SHOWN}, content)
    return verdict


def sweep(found: Experiments) -> Sweep:
    """Choose the swept parameter, the one with the most values, and average over the seeds of each choice.

    Where experiments differ in nothing but the seed, the parameter is corpus.name, with one value.

    Raises:
        ValueError: no experiment has results, or they are about different texts or of different code.
    """
    shown = found.measures.reindex(columns=[(m.title, model) for m in _SHOWN.values() for model in LABELS])
    done = shown.notna().all(axis=1)
    done.iloc[0] = False
    finished = found.params.loc[done]
    params = finished.drop_duplicates()
    parameter, values = _swept(params)
    _check_inputs(found.inputs.loc[done])
    others = [name for name in values if len(values[name]) > 1 and name != parameter]
    settings = [", ".join(f"{name}={row[name]}" for name in others) for row in params.to_dict("records")]
    choices = pd.DataFrame(
        {"setting": settings, "value": pd.Categorical(params[parameter], values[parameter], ordered=True)}, params.index
    )
    scores = pd.concat(
        choices.assign(
            model=model, split=split, seed=params["seed"], perplexity=shown.loc[done, (measure.title, model)]
        )
        for split, measure in _SHOWN.items()
        for model in LABELS
    ).sort_values(["setting", "value", "seed"], kind="stable")
    groups = scores.groupby(["setting", "value", "model", "split"], sort=False, observed=True)
    kinds = {"mean": "mean", "deviation": "std", "lowest": "min", "highest": "max"}
    numbers = {name: ("perplexity", kind) for name, kind in kinds.items()}
    outcomes = groups.agg(seeds=("seed", tuple), **numbers).reset_index().to_dict("records")
    left_out, repeated = int((~done).sum()) - 1, len(finished) - len(params)
    return Sweep(parameter, values[parameter], sorted(set(settings)), outcomes, left_out, repeated)


def _swept(params: pd.DataFrame) -> tuple[str, dict[str, list[Any]]]:
    """The swept parameter, and the values of every parameter but the seed, in order."""
    if params.empty:
        raise ValueError("no experiment has results yet: see dvc queue status")
    values = {name: _ordered(params[name].unique()) for name in params if name != "seed"}
    varying = [name for name in values if len(values[name]) > 1]
    for name in filter(is_text, varying):
        raise ValueError(
            f"the experiments are about different texts ({name}: {', '.join(map(str, values[name]))}), so their "
            "perplexities cannot be ranked: make experiments lists them, dvc exp remove removes one"
        )
    return max(varying or ["corpus.name"], key=lambda name: (len(values[name]), _numbers(values[name]))), values


def _check_inputs(inputs: pd.DataFrame) -> None:
    """Raise ValueError where text or code is not that of the newest experiment, the first one."""
    newest = inputs.iloc[0]
    differ = inputs.ne(newest) & inputs.notna() & newest.notna()
    if differ.any(axis=None):
        paths, others = inputs.columns[differ.any()], inputs.index[differ.any(axis=1)]
        raise ValueError(
            f"the experiments have different text or code ({', '.join(paths)}), so their perplexities cannot be "
            f"ranked: dvc exp remove {' '.join(others)} leaves those that agree with the newest, {newest.name}"
        )


def table(swept: Sweep) -> list[dict[str, Any]]:
    """A row for each choice of parameters: value, setting, seeds, and for each model its outcome by split.

    `best` names the models whose lowest mean validation perplexity this is, of the choices with the most seeds.
    """
    best = [min((o for o in _compared(swept) if o["model"] == model), key=itemgetter("mean")) for model in LABELS]
    rows: dict[tuple[str, Any], dict[str, Any]] = {}
    for outcome in swept.outcomes:
        row = {"value": outcome["value"], "setting": outcome["setting"], "seeds": outcome["seeds"], "best": set()}
        row = rows.setdefault((outcome["setting"], outcome["value"]), row)
        row.setdefault(outcome["model"], {})[outcome["split"]] = outcome
        row["best"] |= {outcome["model"]} if outcome in best else set()
    return list(rows.values())


def _compared(swept: Sweep) -> list[dict[str, Any]]:
    """The outcomes on the validation split with the most seeds: the mean of fewer may be lower by chance."""
    most = max(len(outcome["seeds"]) for outcome in swept.outcomes)
    return [outcome for outcome in _outcomes(swept, "validation") if len(outcome["seeds"]) == most]


def _outcomes(swept: Sweep, split: str) -> list[dict[str, Any]]:
    return [outcome for outcome in swept.outcomes if outcome["split"] == split]


def _figure(swept: Sweep, split: str) -> Figure:
    forms = {"value": "", "setting": "", "model": "", "mean": ",.4f", "lowest": ",.4f", "highest": ",.4f", "seeds": ""}
    points = [
        {key: outcome[key] for key in forms} | {"model": LABELS[outcome["model"]], "seeds": len(outcome["seeds"])}
        for outcome in _outcomes(swept, split)
    ]
    spec = chart.sweep(points, swept.parameter, swept.values, swept.settings)
    summary = f"Mean {split} perplexity over seeds against {swept.parameter}; bars from the lowest to the highest seed."
    rows = [[format(point[key], form) for key, form in forms.items()] for point in points]
    return Figure(_SHOWN[split].title, spec, summary, [swept.parameter, "with", *list(forms)[2:]], rows)


def _ordered(values: Any) -> list[Any]:
    """Numbers by size, words by letters."""
    return sorted(values) if _numbers(values) else sorted(values, key=str)


def _numbers(values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


if __name__ == "__main__":
    stage.run(main)
