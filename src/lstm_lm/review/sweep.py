"""The report on a sweep: perplexity against the parameter that varies, over seeds, from `dvc exp show`."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstm_lm import stage
from lstm_lm.comparison.plots import LABELS
from lstm_lm.params import Params
from lstm_lm.review import chart, page
from lstm_lm.review.difference import dvc, flat
from lstm_lm.review.figure import WINDOWS, Figure

_SHOWN = {key: WINDOWS[key] for key in ("valid", "train")}


class Experiment(NamedTuple):
    """One experiment: its parameters under DVC's names, perplexity by (model, window)."""

    params: dict[str, Any]
    perplexity: dict[tuple[str, str], float]


class Outcome(NamedTuple):
    """Perplexity of a model in a window over the seeds of one choice of parameters."""

    model: str
    window: str
    value: Any
    setting: str
    mean: float
    lowest: float
    highest: float
    seeds: int


class Sweep(NamedTuple):
    """All outcomes, the swept parameter and its values in order, and what else differs ("" for nothing)."""

    parameter: str
    values: list[Any]
    settings: list[str]
    outcomes: list[Outcome]


def main(_params: Params, root: Path) -> None:
    """Report on the experiments that `dvc exp show` lists."""
    folder = root / "report"
    print(f"{folder / 'sweep.html'}: {report(json.loads(dvc(root, 'exp', 'show', '--json')), folder)}")


def report(shown: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Write sweep.html, sweep.md and their pictures into `folder`; the verdict in a sentence.

    Raises:
        ValueError: there are no experiments with results, or nothing but the seed differs between them.
        OSError: a file cannot be written.
    """
    done, left_out = experiments(shown)
    swept = sweep(done)
    held_out = [outcome for outcome in swept.outcomes if outcome.window == "held-out"]
    best = min(held_out, key=_mean)
    place = ", ".join(filter(None, [f"{swept.parameter}={best.value}", best.setting]))
    verdict = f"Lowest mean held-out perplexity: {best.mean:,.2f}, {LABELS[best.model]} at {place}."
    content = {
        "parameter": swept.parameter,
        "labels": LABELS,
        "verdict": verdict,
        "run": f"{len(done)} experiments with results" + (f", {left_out} without" if left_out else ""),
        "rows": table(swept),
    }
    page.write(folder, "sweep", "sweep", figures(swept), content)
    return verdict


def experiments(shown: Sequence[Mapping[str, Any]]) -> tuple[list[Experiment], int]:
    """The experiments in `dvc exp show --json` that ended well, each choice of parameters once; how many did not.

    One that waits, runs or failed may show metrics all the same: those of the commit that it started from.
    """
    found: dict[str, Experiment] = {}
    left_out = 0
    for experiment in (experiment for commit in shown for experiment in commit.get("experiments") or []):
        state = (experiment.get("executor") or {}).get("state", "success")
        data = experiment["revs"][0].get("data") or {}
        params = dict(flat(data.get("params", {}).get("params.yaml", {}).get("data", {})))
        scores = data.get("metrics", {}).get("metrics/evaluate.json", {}).get("data")
        if state != "success" or not scores:
            left_out += 1
            continue
        params = {name: _scalar(value) for name, value in sorted(params.items())}
        perplexity = {
            (model, window): scores[model][key]["perplexity"] for model in LABELS for key, window in _SHOWN.items()
        }
        found[str(params)] = Experiment(params, perplexity)
    return [found[key] for key in sorted(found)], left_out


def sweep(done: Sequence[Experiment]) -> Sweep:
    """Choose the swept parameter, the one with the most values, and gather the seeds of every choice.

    Raises:
        ValueError: there is no experiment, or they differ in nothing but the seed.
    """
    if not done:
        raise ValueError("no experiment has results yet: dvc exp run --queue -S 'model.hidden=64,128'; dvc queue start")
    names = sorted(set[str]().union(*(experiment.params for experiment in done)) - {"seed"})
    values = {name: _ordered({experiment.params.get(name) for experiment in done}) for name in names}
    varying = [name for name in names if len(values[name]) > 1]
    if not varying:
        raise ValueError("the experiments differ in nothing but the seed: sweep another parameter as well")
    parameter = max(varying, key=lambda name: (len(values[name]), _numbers(values[name])))
    groups: dict[tuple[str, Any], list[Experiment]] = defaultdict(list)
    for experiment in done:
        setting = ", ".join(f"{name}={experiment.params.get(name)}" for name in varying if name != parameter)
        groups[setting, experiment.params.get(parameter)].append(experiment)
    settings = sorted({setting for setting, _ in groups})
    order = [(setting, value) for setting in settings for value in values[parameter] if (setting, value) in groups]
    outcomes = [outcome for key in order for outcome in _outcomes(*key, groups[key])]
    return Sweep(parameter, values[parameter], settings, outcomes)


def figures(swept: Sweep) -> dict[str, Figure]:
    """A chart for each window, held-out first."""
    return {f"sweep_{window.replace('-', '_')}": _figure(swept, window) for window in _SHOWN.values()}


def table(swept: Sweep) -> list[dict[str, Any]]:
    """A row for each choice of parameters: value, setting, seeds, and for each model its outcome by window.

    `best` is the model's choice with the lowest mean held-out perplexity.
    """
    rows: dict[tuple[str, Any], dict[str, Any]] = {}
    best = {
        min((found for found in swept.outcomes if (found.model, found.window) == (model, "held-out")), key=_mean)
        for model in LABELS
    }
    for outcome in swept.outcomes:
        row = {"value": outcome.value, "setting": outcome.setting, "seeds": outcome.seeds, "best": set()}
        row = rows.setdefault((outcome.setting, outcome.value), row)
        row.setdefault(outcome.model, {})[outcome.window] = outcome
        row["best"] |= {outcome.model} if outcome in best else set()
    return list(rows.values())


def _outcomes(setting: str, value: object, group: Sequence[Experiment]) -> Iterator[Outcome]:
    """Mean, lowest and highest over the seeds of one choice of parameters."""
    for model, window in group[0].perplexity:
        found = [experiment.perplexity[model, window] for experiment in group]
        mean = sum(found) / len(found)
        yield Outcome(model, window, value, setting, mean, min(found), max(found), len(found))


def _figure(swept: Sweep, window: str) -> Figure:
    outcomes = [outcome for outcome in swept.outcomes if outcome.window == window]
    points = [outcome._asdict() | {"model": LABELS[outcome.model]} for outcome in outcomes]
    spec = chart.sweep(points, swept.parameter, swept.values, swept.settings)
    summary = (
        f"Mean {window} perplexity over seeds against {swept.parameter}; bars from the lowest to the highest seed."
    )
    rows = [
        [str(found.value), found.setting, LABELS[found.model], *map(_written, found[4:7]), str(found.seeds)]
        for found in outcomes
    ]
    header = [swept.parameter, "with", "model", "mean", "lowest", "highest", "seeds"]
    return Figure(f"{window.capitalize()} perplexity", spec, summary, header, rows)


def _mean(outcome: Outcome) -> float:
    return outcome.mean


def _written(perplexity: float) -> str:
    return f"{perplexity:,.4f}"


def _scalar(value: object) -> Any:
    """A value that can be compared: 2.0 as 2 (`-S train.lr=2` writes an integer), a list as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _ordered(values: Iterable[Any]) -> list[Any]:
    found = list(values)
    return sorted(found) if _numbers(found) else sorted(found, key=str)


def _numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


if __name__ == "__main__":
    stage.run(main)
