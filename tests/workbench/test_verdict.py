import json

import pytest

from lstm_lm.workbench.verdict import ROUNDING, TRAINED, Status, compare


def judge(name: str, committed: object, anew: object, same_machine: bool = False) -> Status:
    return compare(name, json.dumps(committed).encode(), json.dumps(anew).encode(), same_machine).status


def test_the_same_bytes_are_identical():
    assert judge("data/models/scratch.safetensors", "a", "a") is Status.IDENTICAL


@pytest.mark.parametrize(("committed", "anew"), [(None, b"1"), (b"1", None)])
def test_a_missing_file_is_different(committed, anew):
    assert compare("metrics/evaluate.json", committed, anew, False).status is Status.DIFFERENT


def test_numbers_of_a_training_may_differ_by_its_tolerance():
    near, far = 100.0 * (1 - TRAINED * 0.99), 100.0 * (1 - TRAINED * 1.01)
    for name in ("metrics/evaluate.json", "metrics/train_scratch.json"):
        assert judge(name, {"valid": {"perplexity": 100.0}}, {"valid": {"perplexity": near}}) is Status.CLOSE
        assert judge(name, {"valid": {"perplexity": 100.0}}, {"valid": {"perplexity": far}}) is Status.DIFFERENT


def test_bits_per_token_are_judged_as_the_perplexities_they_stand_for():
    name = "metrics/evaluate.json"
    assert judge(name, {"bits_per_token": 0.01}, {"bits_per_token": 0.9}) is Status.CLOSE
    assert judge(name, {"bits_per_token": 5.0}, {"bits_per_token": 6.1}) is Status.DIFFERENT


def test_other_numbers_may_differ_by_rounding_alone_and_counts_not_at_all():
    name = "metrics/tokenize.json"
    assert judge(name, {"bits": 4.0}, {"bits": 4.0 * (1 - ROUNDING / 2)}) is Status.CLOSE
    assert judge(name, {"bits": 4.0}, {"bits": 4.0 * (1 - ROUNDING * 2)}) is Status.DIFFERENT
    assert judge(name, {"tokens": 100_000}, {"tokens": 100_001}) is Status.DIFFERENT


def test_names_and_keys_must_agree():
    name = "metrics/evaluate.json"
    assert judge(name, {"corpus": "sample"}, {"corpus": "time_machine"}) is Status.DIFFERENT
    assert judge(name, {"a": 1.0}, {"a": 1.0, "b": 1.0}) is Status.DIFFERENT
    assert judge(name, {"a": [1.0]}, {"a": [1.0, 2.0]}) is Status.DIFFERENT


def test_a_different_number_is_named():
    verdict = compare("metrics/evaluate.json", b'{"scratch": {"x": 1.0}}', b'{"scratch": {"x": 3.0}}', True)
    assert verdict.status is Status.DIFFERENT
    assert "scratch.x" in verdict.detail


def test_a_curve_is_judged_by_its_median_epoch():
    def curve(*values: float) -> bytes:
        rows = [f"{epoch}\t{value}" for epoch, value in enumerate(values, start=1)]
        return "\n".join(["epoch\ttrain_perplexity", *rows, ""]).encode()

    name = "plots/curve_scratch.tsv"
    assert compare(name, curve(9, 5, 3), curve(9, 50, 3.1), False).status is Status.CLOSE
    assert compare(name, curve(9, 5, 3), curve(9, 50, 30), False).status is Status.DIFFERENT
    assert compare(name, curve(9, 5, 3), curve(9, 5), False).status is Status.DIFFERENT


def test_times_are_measured_anew_on_any_machine():
    for name in ("metrics/throughput_scratch.json", "plots/timing_concise.tsv", "plots/throughput.png"):
        assert judge(name, 1, 2, same_machine=True) is Status.MEASURED


@pytest.mark.parametrize("name", ["data/models/scratch.safetensors", "plots/generalisation.png", "plots/generated.txt"])
def test_what_holds_no_numbers_may_differ_only_on_another_machine(name):
    assert judge(name, 1, 2, same_machine=False) is Status.OTHER_MACHINE
    assert judge(name, 1, 2, same_machine=True) is Status.DIFFERENT


@pytest.mark.parametrize("name", ["data/tokens/train.npy", "data/raw/corpus.txt"])
def test_text_and_tokens_are_the_same_everywhere(name):
    assert judge(name, 1, 2, same_machine=False) is Status.DIFFERENT


def test_another_machine_is_described():
    verdict = compare("metrics/environment_scratch.json", b'{"threads": 2, "torch": "x"}', b'{"threads": 4}', False)
    assert verdict.status is Status.OTHER_MACHINE
    assert verdict.detail == "threads: 2 -> 4, torch: x -> None"
