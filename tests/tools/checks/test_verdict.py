import json
from collections.abc import Sequence

import pytest

from tools.checks.verdict import ALL_ALONG, AT_FIRST, CHANCE, FIRST_EPOCHS, ROUNDING, Status, Verdict, compare

EPOCHS = 60
BOTH = ("scratch", "concise")


def judge(name: str, committed: object, now: object, same: Sequence[str] = ()) -> Status:
    return compare(name, json.dumps(committed).encode(), json.dumps(now).encode(), same).status


def curve(early: float = 0.0, late: float = 0.0, every: int = 1, epochs: int = EPOCHS) -> bytes:
    """A curve that is a relative `early` apart in the first epochs, and `late` after them."""
    rows = [
        f"{epoch}\t{(20 - epoch / 10) * (1 + (early if epoch <= FIRST_EPOCHS else late))}"
        for epoch in range(every, epochs + 1, every)
    ]
    return "\n".join(["epoch\tperplexity", *rows, ""]).encode()


CURVES = [("plots/curve_scratch.tsv", 1), ("plots/held_out_concise.tsv", 10)]


@pytest.mark.parametrize(("name", "every"), CURVES)
def test_on_another_kind_the_first_epochs_count(name: str, every: int) -> None:
    def verdict(early: float, late: float) -> Verdict:
        return compare(name, curve(every=every), curve(early, late, every), same=())

    near = verdict(0.9 * ROUNDING, 3.0)
    assert near.status is Status.OTHER_KIND
    assert near.detail == "first 20 epochs 9.0e-06 apart, 1e-05 allowed; end 14.0000 -> 56.0000"
    assert verdict(1.1 * ROUNDING, 0.0).status is Status.DIFFERENT
    assert verdict(-1.1 * ROUNDING, 0.0).status is Status.DIFFERENT


@pytest.mark.parametrize(("name", "every"), CURVES)
def test_of_a_recipe_every_epoch_counts_on_another_kind(name: str, every: int) -> None:
    def verdict(early: float, late: float) -> Verdict:
        return compare(name, curve(every=every), curve(early, late, every), same=(), bound=ALL_ALONG)

    near = verdict(0.3 * CHANCE, -0.9 * CHANCE)
    assert near.status is Status.OTHER_KIND
    assert near.detail.startswith("all epochs ")
    assert ", 3e-02 allowed; " in near.detail
    assert verdict(0.0, 1.1 * CHANCE).status is Status.DIFFERENT
    assert verdict(1.1 * CHANCE, 0.0).status is Status.DIFFERENT


@pytest.mark.parametrize("damaged", [b'{"perplexity": 1', b"[]", b'{"perplexity": NaN}'])
def test_a_damaged_file_is_named(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"^metrics/train_scratch\.json "):
        compare("metrics/train_scratch.json", damaged, b'{"perplexity": 1}', same=BOTH)


def test_a_curve_without_an_early_score_has_nothing_to_judge() -> None:
    late = curve(late=3.0, every=FIRST_EPOCHS + 1)
    assert (
        compare("plots/held_out_concise.tsv", curve(every=FIRST_EPOCHS + 1), late, same=()).status is Status.OTHER_KIND
    )


def test_a_curve_with_a_gap_is_different() -> None:
    name, with_a_gap = "plots/curve_scratch.tsv", curve().replace(b"19.9\n", b"nan\n")
    assert compare(name, curve(), with_a_gap, same=()).status is Status.DIFFERENT


@pytest.mark.parametrize(("name", "every"), CURVES)
def test_on_the_same_kind_nothing_is_allowed(name: str, every: int) -> None:
    assert compare(name, curve(every=every), curve(1e-15, 0, every), same=BOTH).status is Status.DIFFERENT


def test_curves_of_other_epochs_are_different() -> None:
    name = "plots/curve_scratch.tsv"
    assert compare(name, curve(), curve(epochs=EPOCHS - 1), same=()).status is Status.DIFFERENT


def test_with_patience_the_epochs_count_that_both_have() -> None:
    patient = AT_FIRST._replace(patient=True)

    def verdict(early: float) -> Verdict:
        return compare("plots/curve_scratch.tsv", curve(), curve(early, epochs=30), (), patient)

    assert verdict(0.9 * ROUNDING).status is Status.OTHER_KIND
    assert verdict(0.9 * ROUNDING).detail.endswith("; end 14.0000 -> 17.0000 after 60 -> 30 epochs")
    assert verdict(1.1 * ROUNDING).status is Status.DIFFERENT
    old, new = (json.dumps({"perplexity": 1.5, "epochs": epochs, "kept_epoch": 20}).encode() for epochs in (60, 30))
    ended = compare("metrics/train_scratch.json", old, new, (), patient)
    assert ended == (Status.OTHER_KIND, "perplexity 1.5000 -> 1.5000, epochs 60 -> 30, kept_epoch 20 -> 20")
    assert compare("metrics/train_scratch.json", old, new, ()).status is Status.DIFFERENT


def test_where_a_training_ends_is_told_on_another_kind() -> None:
    before = {"perplexity": 1.5, "kept_epoch": 7, "seed": 0}
    after = {"perplexity": 4.5, "kept_epoch": 8, "seed": 0}
    contents = json.dumps(before).encode(), json.dumps(after).encode()
    verdict = compare("metrics/train_scratch.json", *contents, same=())
    assert verdict == Verdict(Status.OTHER_KIND, "perplexity 1.5000 -> 4.5000, kept_epoch 7 -> 8")
    verdict = compare("metrics/train_scratch.json", *contents, same=BOTH)
    assert verdict == Verdict(Status.DIFFERENT, "kept_epoch: 7 -> 8, perplexity: 1.5 -> 4.5")


@pytest.mark.parametrize(
    ("committed", "now"),
    [
        ({"corpus": "sample"}, {"corpus": "time_machine"}),
        ({"seed": 0}, {"seed": 1}),
        ({"a": 1.0}, {"a": 1.0, "b": 1.0}),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}),
    ],
)
def test_what_rounding_cannot_change_must_agree(committed: object, now: object) -> None:
    assert judge("metrics/evaluate.json", committed, now) is Status.DIFFERENT


def test_the_same_bytes_are_identical() -> None:
    assert judge("data/models/scratch.safetensors", "a", "a") is Status.IDENTICAL


@pytest.mark.parametrize(("committed", "now"), [(None, b"1"), (b"1", None)])
def test_a_missing_file_is_different(committed: bytes | None, now: bytes | None) -> None:
    assert compare("metrics/evaluate.json", committed, now, ()).status is Status.DIFFERENT


@pytest.mark.parametrize("same", [BOTH, ()])
@pytest.mark.parametrize("name", ["metrics/tokenize.json", "data/tokens/train.npy", "data/raw"])
def test_what_no_training_decides_is_the_same_everywhere(name: str, same: Sequence[str]) -> None:
    assert judge(name, {"unigram_perplexity": 17.2}, {"unigram_perplexity": 17.2 + 1e-12}, same) is Status.DIFFERENT


@pytest.mark.parametrize(
    "name", ["metrics/throughput_scratch.json", "plots/timing_concise.tsv", "plots/throughput.png"]
)
def test_times_are_measured_again_on_any_machine(name: str) -> None:
    assert judge(name, 1, 2, same=BOTH) is Status.MEASURED


@pytest.mark.parametrize("name", ["data/models/scratch.safetensors", "plots/generalisation.png", "plots/generated.txt"])
def test_what_follows_from_a_training_may_differ_only_on_another_kind(name: str) -> None:
    assert judge(name, 1, 2, same=()) is Status.OTHER_KIND
    assert judge(name, 1, 2, same=BOTH) is Status.DIFFERENT


def test_of_data_there_are_only_digests_which_are_no_json() -> None:
    for same, status in (((), Status.OTHER_KIND), (BOTH, Status.DIFFERENT)):
        verdict = compare(
            "data/units.json", b"5d41402abc4b2a76b9719d911017c592", b"7d793037a0760186574b0282f2f435e7", same
        )
        assert verdict == Verdict(status, "other bytes")


def test_another_kind_is_described() -> None:
    verdict = compare("metrics/environment_scratch.json", b'{"device": "cpu", "torch": "x"}', b'{"device": "cuda"}', ())
    assert verdict == Verdict(Status.OTHER_KIND, "device: cpu -> cuda, torch: x -> None")


def test_a_list_that_differs_is_cut() -> None:
    rows = [{"model": "scratch", "text": "a" * 99}] * 99
    verdict = compare("metrics/generated.json", json.dumps({"texts": rows}).encode(), b'{"texts": []}', same=BOTH)
    assert verdict.status is Status.DIFFERENT
    assert verdict.detail.startswith("scratch: texts: [{'model': 'scratch'")
    assert len(verdict.detail) < 110


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "metrics/evaluate.json",
            '{"scratch": {"perplexity": 1.5}, "concise": {"perplexity": 2.5}, "difference": 0.5}',
        ),
        (
            "metrics/generated.json",
            '{"texts": [{"model": "scratch", "text": "1.5"}, {"model": "concise", "text": "2.5"}]}',
        ),
        ("metrics/passages.json", '{"train": [{"text": "a", "scratch": {"bits": 1.5}, "concise": {"bits": 2.5}}]}'),
        ("plots/surprisal_train.tsv", "place\tscratch\tconcise\n1\t1.5\t2.5\n"),
        ("plots/generated.txt", "Trained\n\nscratch  1.5\nconcise  2.5\n"),
    ],
)
def test_where_one_model_is_of_the_same_kind_what_a_file_holds_of_it_is_identical(name: str, content: str) -> None:
    def status(old: str, new: str) -> Status:
        return compare(name, content.encode(), content.replace(old, new).encode(), same=["scratch"]).status

    assert status("2.5", "2.75") is Status.OTHER_KIND
    assert status("1.5", "1.75") is Status.DIFFERENT


def test_a_file_about_that_model_alone_is_identical() -> None:
    assert compare("data/models/scratch.safetensors", b"a", b"b", same=["scratch"]).status is Status.DIFFERENT
    assert compare("data/models/concise.safetensors", b"a", b"b", same=["scratch"]).status is Status.OTHER_KIND
