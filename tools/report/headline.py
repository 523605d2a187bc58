"""The headline table: both models beside each other and against the base, with a judgement of every change.

A change is not called better or worse where something else may explain it:

- other text: corpus.*, tokenize.* or the corpus's size differ;
- rounding: the trainings have the same parameters, agree in their first epochs to a relative 1e-5 and part later, as
  sums in another order make them do;
- another environment: metrics/environment_*.json differs, and no parameter chose that;
- for a perplexity: another seed;
- for the train perplexity of the last epoch: dropout or the sampling of windows differs, or the length of windows that
  begin at the zero state, so it is measured otherwise;
- for a speed: another machine or compiler, a model of another size, or the middle halves of the epochs overlap.
"""

from typing import Any, NamedTuple

from lstm_lm.comparison.measures import LABELS, MEASURES, Measure, shown_in
from tools.checks.verdict import FIRST_EPOCHS, ROUNDING
from tools.report.difference import Change, Difference

NOTHING = "\N{EN DASH}"

_CHOSEN = {
    "kernel": {"scratch.kernel", "numerics", "train.precision"},
    "precision": {"train.precision"},
    "instructions": {"numerics"},
}
"""Key of metrics/environment_*.json -> the parameters that choose it."""

_SAME_FUNCTION = (
    "device",
    "evaluate.",
    "scratch.kernel",
    "numerics",
    "checkpoint.seconds",
    "train.processes",
)
"""Parameters that do not change which function a training computes."""


class Cell(NamedTuple):
    """A value, whether it is the better one of the two models, and its change against the base.

    `judgement` is better, worse, same, other (changed, not judged) or none (no base).
    """

    value: str
    best: bool
    judgement: str
    arrow: str
    change: str


def table(found: Difference) -> dict[str, dict[str, Cell]]:
    """Title of each measure -> a cell for each model."""
    return {measure.title: _cells(found, measure) for measure in shown_in("results", found.few).values()}


def same_text(found: Difference) -> bool:
    """Whether perplexities here and at the base are of the same tokens."""
    counts = [found.metric("metrics/tokenize.json", key) for key in ("characters", "tokens")]
    texts = [change for name, change in found.params.items() if is_text(name)]
    return all(change.old == change.new for change in (*texts, *counts) if change.old is not None)


def is_text(parameter: str) -> bool:
    """Whether a parameter chooses the text."""
    return parameter.startswith(("corpus.", "tokenize."))


def other_environment(found: Difference, model: str) -> dict[str, Change]:
    """What differs between the environments of a model's trainings, unless a parameter chose it.

    The kernel decides whether bytes depend on torch and on instructions, so a record may lack them.
    """
    environment = found.metrics.get(f"metrics/environment_{model}.json", {})
    return {
        key: change
        for key, change in environment.items()
        if change.old != change.new and None not in change and not _CHOSEN.get(key, set()) & found.changed
    }


def judge(change: Change, measure: Measure, reason: str = "") -> tuple[str, str, str]:
    """Judgement, arrow and words for a change. Numbers that are written alike count as unchanged.

    Args:
        reason: why the change is not judged, "" if it is.
    """
    if change.old is None or change.new is None:
        return "none", "", ""
    before = write(change.old, measure.form)
    if write(change.new, measure.form) == before:
        return "same", "=", "unchanged"
    arrow = "▲" if change.new > change.old else "▼"
    if reason and measure.sense:
        return "other", arrow, f"from {before}, {reason}"
    if measure.sense == 0 or change.old == 0:
        return "other", arrow, f"from {before}"
    judgement = "better" if (change.new - change.old) * measure.sense > 0 else "worse"
    return judgement, arrow, f"{abs(change.new / change.old - 1):.1%} {judgement} than {before}"


def write(number: Any, form: str) -> str:
    """A number in a format, an en dash for none."""
    return NOTHING if number is None else format(number, form)


def _cells(found: Difference, measure: Measure) -> dict[str, Cell]:
    changes = {model: found.measure(measure, model) for model in LABELS}
    written = {model: write(change.new, measure.form) for model, change in changes.items()}
    known = [change.new * measure.sense for change in changes.values() if change.new is not None]
    distinct = len(set(written.values())) == len(LABELS) == len(known) and measure.sense != 0
    distinct &= measure is not MEASURES["tokens_per_s"] or _on_one_machine(found)
    return {
        model: Cell(
            written[model],
            distinct and change.new * measure.sense == max(known),
            *judge(change, measure, _reason(found, measure, model, change)),
        )
        for model, change in changes.items()
    }


def _on_one_machine(found: Difference) -> bool:
    """Whether the two speeds here can be compared."""
    return len({found.metric(f"metrics/throughput_{model}.json", "device").new for model in LABELS}) == 1


def _reason(found: Difference, measure: Measure, model: str, change: Change) -> str:
    """Why a change is not judged, "" if it is."""
    if not same_text(found):
        return "other text"
    if measure is MEASURES["tokens_per_s"]:
        return _reason_of_speed(found, measure, model)
    if measure is MEASURES["train_perplexity"] and _measured_otherwise(found):
        return "measured in another way"
    if "seed" in found.changed:
        return "other seed"
    if _rounding(found, model, change):
        return "within rounding"
    return "other environment" if other_environment(found, model) else ""


def _measured_otherwise(found: Difference) -> bool:
    """Whether a parameter changes what a train perplexity says that is measured during the training.

    Dropped units raise it. So do windows that begin at the zero state, the shorter they are the more.
    """
    random = found.params.get("train.sampling", Change(None, None)).new == "random"
    return bool({"model.dropout", "train.sampling", *(["train.num_steps"] if random else [])} & found.changed)


def _reason_of_speed(found: Difference, measure: Measure, model: str) -> str:
    """Why a change of the speed is not judged, on the same text."""
    path, key = measure.place(model)
    device, compiler, low, high = (
        found.metric(path, name) for name in ("device", "compiler", f"{key}_q1", f"{key}_q3")
    )
    size = found.metric(f"metrics/train_{model}.json", "parameters")
    if device.old != device.new or other_environment(found, model):
        return "other machine"
    if compiler.old != compiler.new and "none" not in compiler:
        return "other compiler"
    if size.old != size.new:
        return "other size"
    overlap = None not in (*low, *high) and low.new <= high.old and low.old <= high.new
    return "within the spread" if overlap else ""


def _rounding(found: Difference, model: str, change: Change) -> bool:
    """Whether the trainings compute the same function, so that their results differ by rounding alone."""
    here, base = (found.curve(model, "train_perplexity", at_base) for at_base in (False, True))
    if not here or here.keys() != base.keys() or not all(name.startswith(_SAME_FUNCTION) for name in found.changed):
        return False
    apart = [abs(here[epoch] / base[epoch] - 1) for epoch in sorted(here)]
    if max(apart) <= ROUNDING:  # they agree to the end, so later measurements must agree as well
        return bool(change.old and change.new) and abs(change.new / change.old - 1) <= ROUNDING
    return max(apart[:FIRST_EPOCHS]) <= ROUNDING
