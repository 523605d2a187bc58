"""Whether a result that was made again is the committed one: the rules by which `make verify` judges.

Two machines are of the same kind for a model if its metrics/environment_<model>.json are equal. Then everything of that
model has the same bytes, except what holds or shows times. The model from scratch needs no more than a C++ compiler for
that, on whatever processor.

On another kind, floating-point sums round differently, and training is chaotic: two runs that differ in a last bit stay
together for some hundred updates and part later. `AT_FIRST` compares the epochs of the default run in which they are
together: a wrong seed, weight or gradient shows at once. A recipe has too many updates in its first epoch for that, so
`ALL_ALONG` compares whole curves, within what chance moves them.
"""

import io
from collections.abc import Collection
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from dvc.utils.flatten import flatten

from lstm_lm.core.json_file import parse_json
from lstm_lm.core.yaml_file import shown
from tools.checks.portion import models, portion

FIRST_EPOCHS = 20
ROUNDING = 1e-5
"""Relative tolerance of the first epochs on another kind of machine."""

CHANCE = 0.03
"""Relative tolerance of all epochs of a recipe on another kind of machine.

"Check it" in docs/reproducibility.md tells what was measured for both tolerances.
"""


class Bound(NamedTuple):
    """How far two curves may be apart, relative, and up to which epoch that counts (None: the last).

    `patient`: with train.patience, chance also decides how many epochs there are; those that both have are compared.
    """

    apart: float
    epochs: int | None
    patient: bool = False

    def __str__(self) -> str:
        return "all epochs" if self.epochs is None else f"first {self.epochs} epochs"


AT_FIRST = Bound(ROUNDING, FIRST_EPOCHS)
ALL_ALONG = Bound(CHANCE, None)

ENVIRONMENT = "metrics/environment_*.json"
_MEASURED = (
    "metrics/throughput_*.json",
    "metrics/concise.json",
    "metrics/scratch.json",
    "plots/timing_*.tsv",
    "plots/learning_curves.png",
    "plots/throughput.png",
)
_CURVES = ("plots/curve_*.tsv", "plots/held_out_*.tsv")
_TRAINED = ("metrics/train_*.json", "metrics/evaluate.json")
_FOLLOWS = (
    "data/models/*",
    "data/units.json",
    "metrics/digests.json",
    "metrics/generated.json",
    "metrics/passages.json",
    "plots/generated.txt",
    "plots/surprisal*.tsv",
    "plots/*.png",
)
"""Results of a training that hold no number to compare."""

_CHANCE_DECIDES = ("kept_epoch",)
"""Keys of `_TRAINED` whose values rounding can change although they are not decimal numbers."""


class Status(StrEnum):
    """What became of a committed result."""

    IDENTICAL = "identical"
    MEASURED = "measured again"
    OTHER_KIND = "other kind"
    DIFFERENT = "DIFFERENT"


class Verdict(NamedTuple):
    """A status and, where there is more to say, one line."""

    status: Status
    detail: str = ""


def compare(
    name: str, committed: bytes | None, now: bytes | None, same: Collection[str], bound: Bound = AT_FIRST
) -> Verdict:
    """Judge a result.

    Args:
        name: its path in the project.
        committed: its content, of files in data/ DVC's digest; None for no file.
        now: the same of what was made again.
        same: the models for which this is the same kind of machine.
        bound: for the curves of the others.

    Raises:
        ValueError: a JSON file is damaged.
    """
    if committed is None or now is None:
        return Verdict(Status.DIFFERENT, "not committed" if committed is None else "not made again")
    if committed == now:
        return Verdict(Status.IDENTICAL)
    if matches(name, _MEASURED):
        return Verdict(Status.MEASURED, "holds or shows times")
    keys = [parse_json(content, Path(name)) for content in (committed, now)] if fnmatch(name, "metrics/*.json") else []
    if fnmatch(name, ENVIRONMENT):
        return Verdict(Status.OTHER_KIND, changes(*keys))
    changed = [model for model in same if portion(name, committed, model) != portion(name, now, model)]
    if changed or set(models(name)) <= set(same) or not matches(name, (*_CURVES, *_TRAINED, *_FOLLOWS)):
        detail = changes(*keys) if keys else "other bytes"
        return Verdict(Status.DIFFERENT, ": ".join([*changed[:1], detail]))
    if matches(name, _CURVES):
        return _compare_curves(committed, now, bound)
    return _compare_ends(*keys, bound=bound) if matches(name, _TRAINED) else Verdict(Status.OTHER_KIND, "other bytes")


def is_deterministic(name: str) -> bool:
    """Whether the same kind of machine promises the same bytes."""
    return not matches(name, (*_MEASURED, ENVIRONMENT))


def changes(committed: dict[str, Any], now: dict[str, Any]) -> str:
    """Every value that differs: "key: old -> new"."""
    before, after = flatten(committed), flatten(now)
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return ", ".join(f"{key}: {_cut(before.get(key))} -> {_cut(after.get(key))}" for key in changed)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path in the project fits one of the patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _compare_curves(committed: bytes, now: bytes, bound: Bound) -> Verdict:
    before, after = (pd.read_csv(io.BytesIO(content), sep="\t", index_col="epoch") for content in (committed, now))
    rows = min(len(before), len(after)) if bound.patient else None
    if rows == 0 or not before.axes[0][:rows].equals(after.axes[0][:rows]) or list(before) != list(after):
        return Verdict(Status.DIFFERENT, "other epochs or columns")
    compared = (after[:rows] / before[:rows] - 1).abs().loc[: bound.epochs]
    apart = float(compared.max(axis=None, skipna=False)) if len(compared) else 0.0
    ends = ", ".join(f"{before[name].iloc[-1]:.4f} -> {after[name].iloc[-1]:.4f}" for name in before)
    if len(before) != len(after):
        ends += f" after {before.index[-1]} -> {after.index[-1]} epochs"
    return Verdict(
        Status.OTHER_KIND if apart <= bound.apart else Status.DIFFERENT,
        f"{bound} {apart:.1e} apart, {bound.apart:.0e} allowed; end {ends}",
    )


def _compare_ends(committed: dict[str, Any], now: dict[str, Any], bound: Bound) -> Verdict:
    """Tell how perplexities changed; what rounding cannot change must be the same."""
    before, after = flatten(committed), flatten(now)
    chance = (*_CHANCE_DECIDES, "epochs") if bound.patient else _CHANCE_DECIDES
    if before.keys() != after.keys() or any(
        before[key] != after[key] for key in before if not (isinstance(before[key], float) or key in chance)
    ):
        return Verdict(Status.DIFFERENT, changes(committed, now))
    ends = [f"{key} {before[key]:.4f} -> {after[key]:.4f}" for key in before if key.endswith("perplexity")]
    ends += [f"{key} {before[key]} -> {after[key]}" for key in before if key in chance]
    return Verdict(Status.OTHER_KIND, ", ".join(ends))


def _cut(value: object) -> object:
    return shown(value) if isinstance(value, list) else value
