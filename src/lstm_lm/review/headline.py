"""The headline table: both models beside each other and against the base, with a judgement of every change."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lstm_lm.comparison.plots import LABELS
from lstm_lm.review.difference import Change

Metrics = Mapping[str, Mapping[str, Change]]

NOTHING = "\N{EN DASH}"


class Measure(NamedTuple):
    """A row: where DVC has it ("{model}" in file or key), how to write it, and which direction is better.

    `sense` is -1 where lower is better, 1 where higher is better, 0 where neither is.
    """

    title: str
    file: str
    key: str
    form: str
    sense: int


MEASURES = (
    Measure("Train perplexity, last epoch", "train_{model}", "perplexity", ",.2f", -1),
    Measure("Held-out perplexity", "evaluate", "{model}.valid.perplexity", ",.2f", -1),
    Measure("Test perplexity", "evaluate", "{model}.test.perplexity", ",.2f", -1),
    Measure("Held-out bits per token", "evaluate", "{model}.valid.bits_per_token", ",.3f", -1),
    Measure("Tokens per second, median", "throughput_{model}", "tokens_per_second", ",.0f", 1),
    Measure("Training time, s", "throughput_{model}", "seconds", ",.1f", 0),
    Measure("Peak memory, MiB", "throughput_{model}", "peak_memory_mib", ",.0f", 0),
    Measure("Parameters", "train_{model}", "parameters", ",.0f", 0),
)


class Cell(NamedTuple):
    """A value; whether it is the better one of the two models; its change against the base, judged.

    `judgement` is better, worse, same, other (a change without a judgement) or none (nothing to compare with).
    """

    value: str
    best: bool
    judgement: str
    arrow: str
    change: str


def value(metrics: Metrics, file: str, key: str) -> Change:
    """One metric at the base and here, None where it is missing."""
    return metrics.get(f"metrics/{file}.json", {}).get(key, Change(None, None))


def table(metrics: Metrics, same_text: bool) -> list[tuple[str, dict[str, Cell]]]:
    """Title and one cell for each model, row by row.

    Args:
        same_text: whether the base was trained and scored on the same windows; only then does a perplexity
            become better or worse.
    """
    return [(measure.title, _cells(metrics, measure, same_text)) for measure in MEASURES]


def _cells(metrics: Metrics, measure: Measure, same_text: bool) -> dict[str, Cell]:
    names = {model: (measure.file.format(model=model), measure.key.format(model=model)) for model in LABELS}
    changes = {model: value(metrics, *name) for model, name in names.items()}
    written = {model: write(change.new, measure.form) for model, change in changes.items()}
    known = [change.new * measure.sense for change in changes.values() if change.new is not None]
    cells = {}
    for model, change in changes.items():
        if measure.key == "tokens_per_second":
            judged = _judge_speed(metrics, model, change, measure)
        else:
            judged = judge(change, measure.form, measure.sense if same_text else 0)
        distinct = len(set(written.values())) == len(LABELS) == len(known) and measure.sense != 0
        cells[model] = Cell(written[model], distinct and change.new * measure.sense == max(known), *judged)
    return cells


def judge(change: Change, form: str, sense: int) -> tuple[str, str, str]:
    """Judgement, arrow and words for a change; what rounds to the same number has not changed."""
    if change.old is None or change.new is None:
        return "none", "", ""
    before = write(change.old, form)
    if write(change.new, form) == before:
        return "same", "=", "unchanged"
    arrow = "▲" if change.new > change.old else "▼"
    if sense == 0 or change.old == 0:
        return "other", arrow, f"from {before}"
    judgement = "better" if (change.new - change.old) * sense > 0 else "worse"
    return judgement, arrow, f"{abs(change.new / change.old - 1):.1%} {judgement} than {before}"


def _judge_speed(metrics: Metrics, model: str, change: Change, measure: Measure) -> tuple[str, str, str]:
    """Speeds of one machine can be compared, and differ only if their middle halves of epochs are apart."""
    device, low, high = (
        value(metrics, f"throughput_{model}", key) for key in ("device", "tokens_per_second_q1", "tokens_per_second_q3")
    )
    judged = judge(change, measure.form, measure.sense if device.old == device.new else 0)
    if judged[0] in ("better", "worse") and None not in (*low, *high) and low.new <= high.old and low.old <= high.new:
        return "other", "≈", f"within the spread of {write(change.old, measure.form)}"
    return judged


def write(number: Any, form: str) -> str:
    """A number in a format, an en dash for none."""
    return NOTHING if number is None else format(number, form)
