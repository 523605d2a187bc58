"""When a change is better or worse, and when it must not be called so."""

import pytest

from lstm_lm.comparison.measures import LABELS, MEASURES, Measure
from reported import difference_of
from tools.checks.verdict import FIRST_EPOCHS
from tools.report import headline
from tools.report.__main__ import notes
from tools.report.difference import Change, Difference

EPOCHS = 40


def cell(difference: Difference, measure: Measure = MEASURES["valid_perplexity"]) -> headline.Cell:
    """How the report shows a measure of the scratch model."""
    return headline.table(difference)[measure.title]["scratch"]


def compared(drift: float = 0.0, first: float = 0.0, **changes: Change) -> Difference:
    """Validation perplexity 8 here, 10 at the base; train perplexity 4 here, 5 there.

    The base's curve is `first` apart at once, `drift` at the end. `changes` are parameters (model__hidden for
    model.hidden, seed__ for seed) or keys of the environment's record.
    """
    here = {epoch: 9 - epoch / 10 for epoch in range(1, EPOCHS + 1)}
    base = {epoch: value * (1 + first) * (1 + (drift if epoch > FIRST_EPOCHS else 0)) for epoch, value in here.items()}
    params = {name.replace("__", ".").rstrip("."): change for name, change in changes.items() if "__" in name}
    environment = {name: change for name, change in changes.items() if "__" not in name}
    metrics = {
        "metrics/evaluate.json": {"scratch.valid.perplexity": Change(10.0, 8.0)},
        "metrics/train_scratch.json": {"perplexity": Change(5.0, 4.0)},
        "metrics/environment_scratch.json": environment,
    }
    return difference_of(metrics, params, {"scratch": {"train_perplexity": Change(base, here)}})


@pytest.mark.parametrize(
    ("change", "sense", "expected"),
    [
        (Change(10.0, 8.0), -1, ("better", "▼", "20.0% better than 10.00")),
        (Change(10.0, 8.0), 1, ("worse", "▼", "20.0% worse than 10.00")),
        (Change(10.0, 11.0), -1, ("worse", "▲", "10.0% worse than 10.00")),
        (Change(10.0, 11.0), 0, ("other", "▲", "from 10.00")),
        (Change(10.0, 10.004), -1, ("same", "=", "unchanged")),
        (Change(0.0, 1.0), -1, ("other", "▲", "from 0.00")),
        (Change(None, 1.0), -1, ("none", "", "")),
        (Change(1.0, None), -1, ("none", "", "")),
    ],
)
def test_judgements(change, sense, expected):
    assert headline.judge(change, MEASURES["train_perplexity"]._replace(sense=sense)) == expected


def test_no_model_s_training_time_is_called_the_better_one():
    times = zip(LABELS, (9.0, 5.0), strict=True)
    seconds = {f"metrics/throughput_{kind}.json": {"seconds": Change(None, taken)} for kind, taken in times}
    cells = headline.table(difference_of(seconds))[MEASURES["seconds"].title]
    assert [shown.best for shown in cells.values()] == [False, False]


@pytest.mark.parametrize(
    "difference",
    [
        compared(drift=0.1, scratch__kernel=Change("book", "fused"), kernel=Change("book", "fused")),
        compared(drift=0.1, threads=Change(2, 4)),
        compared(drift=0.1, train__processes=Change(1, 2)),
        compared(drift=0.1, first=1e-7),
        compared(drift=0.1, numerics__=Change("portable", "native"), instructions=Change("portable", "x86_64 AVX512")),
    ],
    ids=["another kernel", "another machine", "shared rows", "sums in another order", "native numerics"],
)
def test_what_drifts_apart_only_late_is_rounding(difference):
    assert cell(difference).judgement == "other"
    assert cell(difference).change == "from 10.00, within rounding"


@pytest.mark.parametrize(
    "difference",
    [
        compared(drift=0.1, model__hidden=Change(256, 64)),
        compared(drift=0.1, train__clip=Change(1.0, 5.0)),
        compared(first=1e-3),
        compared(),
    ],
    ids=["another size", "a parameter that acts late", "apart from the start", "other scores of the same training"],
)
def test_what_rounding_does_not_explain_is_judged(difference):
    assert cell(difference).change == "20.0% better than 10.00"


def test_rounding_never_shows_as_a_better_score_of_the_same_training():
    difference = compared()
    difference.metrics["metrics/evaluate.json"]["scratch.valid.perplexity"] = Change(9999.0, 9999.01)
    assert cell(difference).judgement == "other"


def test_results_of_another_environment_are_shown_but_not_judged():
    difference = compared(first=0.1, model__hidden=Change(256, 64), torch=Change("2.12", "2.13"))
    assert cell(difference)[2:] == ("other", "▼", "from 10.00, other environment")
    assert notes(difference) == [
        "HEAD was trained in another environment (torch: 2.12 → 2.13): perplexities are not judged."
    ]


def test_results_of_another_seed_are_shown_but_not_judged():
    difference = compared(first=0.1, model__hidden=Change(256, 64), seed__=Change(0, 1))
    assert cell(difference)[2:] == ("other", "▼", "from 10.00, other seed")


@pytest.mark.parametrize(
    "change",
    [
        {"model__dropout": Change(0.0, 0.5)},
        {"train__sampling": Change("sequential", "random")},
        {"train__num_steps": Change(35, 128), "train__sampling": Change("random", "random")},
    ],
)
def test_the_train_perplexity_is_judged_only_where_it_is_measured_in_one_way(change):
    difference = compared(first=0.1, **change)
    assert cell(difference, MEASURES["train_perplexity"]).change == "from 5.00, measured in another way"
    assert cell(difference).judgement == "better"


def test_windows_of_another_length_that_carry_the_state_are_judged():
    carried = Change("sequential", "sequential")
    difference = compared(first=0.1, train__num_steps=Change(35, 128), train__sampling=carried)
    assert cell(difference, MEASURES["train_perplexity"]).judgement in ("better", "worse")


def test_what_a_parameter_chooses_is_no_other_environment():
    difference = compared(first=0.1, train__precision=Change("fp32", "bf16"), precision=Change("fp32", "bf16"))
    assert cell(difference).judgement == "better"


def test_the_environment_counts_where_no_parameter_chose_it():
    difference = compared(first=0.1, train__lr=Change(1.0, 0.5), kernel=Change("fused in C++", "fused in PyTorch"))
    assert cell(difference).change == "from 10.00, other environment"


BOOK = {
    "torch": Change(None, "2.13"),
    "instructions": Change(None, "portable"),
    "kernel": Change("fused in C++", "book"),
}
NATIVE = {
    "kernel": Change("torch.nn.LSTM, output layer in C++", "torch.nn.LSTM"),
    "instructions": Change("portable", "x"),
}


@pytest.mark.parametrize(
    ("parameter", "environment"), [("scratch.kernel", BOOK), ("numerics", NATIVE), ("train.lr", BOOK)]
)
def test_the_speed_of_a_kernel_that_a_parameter_chose_is_judged(parameter: str, environment: dict[str, Change]) -> None:
    metrics = {
        "metrics/environment_scratch.json": environment,
        "metrics/throughput_scratch.json": {"tokens_per_second": Change(100, 50), "device": Change("a", "a")},
    }
    judged = cell(difference_of(metrics, {parameter: Change(1, 2)}), MEASURES["tokens_per_s"])
    assert judged.judgement == ("other" if parameter == "train.lr" else "worse")


@pytest.mark.parametrize(("other", "best"), [("a", True), ("b", False)])
def test_of_two_machines_none_is_the_faster_model(other: str, best: bool) -> None:
    metrics = {
        f"metrics/throughput_{model}.json": {"tokens_per_second": Change(1, speed), "device": Change("a", device)}
        for model, speed, device in (("scratch", 9, "a"), ("concise", 5, other))
    }
    assert cell(difference_of(metrics), MEASURES["tokens_per_s"]).best == best


def test_a_speed_of_another_compiler_is_not_judged():
    keys = ("compiler", "tokens_per_second_q1", "tokens_per_second", "tokens_per_second_q3")
    for before, expected in (("clang 14", "from 100, other compiler"), ("none", "50.0% worse than 100")):
        changes = map(Change, (before, 90, 100, 110), ("GCC 12", 45, 50, 55))
        speeds: dict[str, Change] = dict(zip(keys, changes, strict=True))
        difference = difference_of({"metrics/throughput_scratch.json": speeds})
        assert cell(difference, MEASURES["tokens_per_s"]).change == expected


@pytest.mark.parametrize("now", [(101, 90), (100, 91)])
def test_perplexities_of_an_edited_text_are_not_judged(now):
    difference = compared(first=0.1)
    counts = {"characters": Change(100, now[0]), "tokens": Change(90, now[1])}
    difference.metrics["metrics/tokenize.json"] = counts
    assert cell(difference).change == "from 10.00, other text"


def test_perplexities_of_other_text_are_not_judged():
    difference = compared(first=0.1, tokenize__train_tokens=Change(10, 20))
    assert notes(difference) == ["HEAD was trained on other text: perplexities are shown, but not judged."]
    assert cell(difference).change == "from 10.00, other text"


@pytest.mark.parametrize(
    ("before", "now", "threads", "expected"),
    [
        (("a CPU", 90, 100, 110), ("a CPU", 45, 50, 55), 2, "50.0% worse than 100"),
        (("a CPU", 45, 50, 55), ("a CPU", 90, 100, 110), 2, "100.0% better than 50"),
        (("a CPU", 40, 100, 110), ("a CPU", 45, 50, 55), 2, "from 100, within the spread"),
        (("a CPU", 90, 100, 110), ("a GPU", 450, 500, 550), 2, "from 100, other machine"),
        (("a CPU", 90, 100, 110), ("a CPU", 45, 50, 55), 1, "from 100, other machine"),
    ],
)
def test_speeds_are_judged_on_one_machine_and_outside_their_spread(before, now, threads, expected):
    keys = ("device", "tokens_per_second_q1", "tokens_per_second", "tokens_per_second_q3")
    speeds: dict[str, Change] = dict(zip(keys, map(Change, before, now), strict=True))
    environment = {"threads": Change(2, threads)}
    metrics: dict[str, dict[str, Change]] = {
        "metrics/throughput_scratch.json": speeds,
        "metrics/environment_scratch.json": environment,
    }
    assert cell(difference_of(metrics, {}), MEASURES["tokens_per_s"]).change == expected


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("model.hidden", Change(100, 200), "from 100, other size"),
        ("corpus.name", Change(100, 100), "from 100, other text"),
        ("tokenize.level", Change(100, 200), "from 100, other text"),
        ("train.batch_size", Change(100, 100), "50.0% worse than 100"),
    ],
)
def test_a_speed_is_judged_for_one_size_and_text(name, parameters, expected):
    metrics = {
        "metrics/throughput_scratch.json": {"tokens_per_second": Change(100, 50)},
        "metrics/train_scratch.json": {"parameters": parameters},
    }
    difference = difference_of(metrics, {name: Change(1, 2)})
    assert cell(difference, MEASURES["tokens_per_s"]).change == expected
