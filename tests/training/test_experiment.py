"""A whole training, from tokens to results."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lstm_lm.comparison.measures import LABELS
from lstm_lm.core.json_file import read_json
from lstm_lm.core.params import load_params
from lstm_lm.model import arithmetic
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training import experiment
from lstm_lm.training.group import ALONE, Group
from lstm_lm.training.loop import Epoch
from lstm_lm.training.losses import Diverged
from projects import Project, params_of, train_of
from trainings import model


def test_a_gpu_without_enough_memory_is_one_line_that_says_what_to_lower(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_training: experiment.Training) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nSee the documentation")

    monkeypatch.setattr(experiment.Training, "run", exhausted)
    params = load_params(small_project.root / "params.yaml")
    sizes = rf"model\.hidden \({params.model.hidden}\), the vocabulary \(\d+ tokens\), train\.batch_size \(\d+\)"
    with pytest.raises(ValueError, match=rf"^[^\n]* is out of memory: lower {sizes} or train\.num_steps \(\d+\)$"):
        experiment.train("scratch", params, small_project.root)


@pytest.mark.parametrize(("kind", "gib"), [("scratch", 0.2), ("concise", 9.1)])
def test_one_hot_vectors_count_where_they_are_made(kind: str, gib: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """80,000 vectors of 10,000 numbers are 8.9 GiB in 12 bytes a number."""
    monkeypatch.setattr(experiment.devices, "total_memory", lambda _: 0)
    params = params_of().changed({"train.batch_size": 800, "train.num_steps": 100, "tokenize.train_tokens": -1})
    with pytest.raises(ValueError, match=rf"^training needs about {gib} GiB, cpu has 0\.0 GiB: "):
        experiment.check_memory(kind, params, 10_000, torch.device("cpu"))


@pytest.mark.parametrize(
    ("changes", "gib"), [({}, 63.9), ({"train.optimizer": "adam"}, 67.4), ({"train.processes": 2}, 72.6)], ids=str
)
def test_layers_averages_and_processes_count(
    changes: dict[str, object], gib: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment.devices, "total_memory", lambda _: 0)
    sizes = {"train.batch_size": 800, "train.num_steps": 100, "tokenize.train_tokens": -1}
    params = params_of(hidden=4096, layers=4).changed(sizes | changes)
    with pytest.raises(ValueError, match=rf"^training needs about {gib} GiB, "):
        experiment.check_memory("scratch", params, 28, torch.device("cpu"))


def test_each_process_has_its_threads_and_is_checked_with_its_rows(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def check(_parts: object, rows: int) -> None:
        given.append(rows)
        raise Diverged("seen")

    monkeypatch.setattr(experiment, "fix_threads", lambda _, processes: given.append(processes))
    monkeypatch.setattr(experiment, "check_arithmetic", check)
    params = load_params(small_project.root / "params.yaml")
    with pytest.raises(Diverged):
        experiment.train_together(Group(0, 2), torch.device("cpu"), "concise", params, small_project.root)
    assert given == [2, params.train.batch_size // 2]


def test_curves_that_cannot_be_written_hide_no_failure(small_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("cannot write the curves")

    def diverge(_training: experiment.Training) -> None:
        raise Diverged("the training diverged")

    monkeypatch.setattr(experiment.curves, "write", full)
    params = load_params(small_project.root / "params.yaml")
    for run, failure in ((diverge, "the training diverged"), (lambda _: None, "cannot write the curves")):
        monkeypatch.setattr(experiment.Training, "run", run)
        with pytest.raises((ValueError, OSError), match=failure):
            experiment.train("scratch", params, small_project.root)


@pytest.mark.parametrize("kind", LABELS)
def test_a_model_whose_code_computes_wrong_values_is_not_trained(
    kind: str, small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "TOLERANCE", -1)  # nothing is as near to the equations
    with pytest.raises(ValueError, match=r"^[^\n]* computes wrong values on this machine [^\n]*$"):
        experiment.train(kind, load_params(small_project.root / "params.yaml"), small_project.root)
    assert not (small_project.root / f"data/models/{kind}.safetensors").exists()


def test_a_training_starts_without_the_slow_imports_of_other_stages(small_project: Project) -> None:
    process = small_project.script("train_scratch", PYTHONPROFILEIMPORTTIME="1")
    _, imports = process.communicate(timeout=120)
    imported = {line.rpartition("|")[2].strip() for line in imports.splitlines()}
    assert process.returncode == 0
    assert "torch" in imported
    assert imported & {"charset_normalizer", "matplotlib", "pandas", "polars", "sympy", "torch._dynamo"} == set()


def test_what_of_the_train_split_and_of_the_parameters_is_not_used_is_said(small_project: Project) -> None:
    for changes, said in (
        ({}, ""),
        ({"train__num_steps": 157}, "; an epoch trains on 1,256 of 2,000 tokens"),
        (
            {"train__keep": "best"},
            "; too few validation scores (1 with train.valid_every 10) for train.keep best to change anything",
        ),
    ):
        small_project.set(train__epochs=1, **changes)
        result = small_project.run("train_scratch")
        assert (result.exitcode, result.out.splitlines()[0].partition(" thread")[2]) == (0, said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 10}, ""),
        ({"epochs": 11, "keep": "best"}, ""),
        ({"epochs": 20, "patience": 1}, "(2 with train.valid_every 10) for train.patience 1"),
        ({"epochs": 21, "patience": 1}, ""),
        (
            {"epochs": 5, "patience": 3, "keep": "best"},
            "(1 with train.valid_every 10) for train.keep best and train.patience 3",
        ),
    ],
)
def test_what_too_few_validation_scores_leave_without_effect_is_said(changes: dict[str, object], said: str) -> None:
    message = f"; too few validation scores {said} to change anything" if said else ""
    assert experiment._without_effect(train_of(**changes)) == message


def test_an_unknown_kind_of_model_is_not_trained(small_project: Project) -> None:
    with pytest.raises(AttributeError, match="gru"):
        experiment.train("gru", load_params(small_project.root / "params.yaml"), small_project.root)


def test_whatever_the_bytes_depend_on_makes_another_training() -> None:
    keys = {
        experiment.training_key("concise", params_of(init=init), {"instructions": code}, {"train": digest})
        for init in ("book", "shared")
        for code in "ab"
        for digest in "ab"
    }
    assert len(keys) == 8


def test_results_are_of_the_kept_epoch_and_speeds_of_those_after_the_warm_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = (*[50.0] * experiment.WARM_UP, 1.0, 2.0, 4.0, 5.0, 10.0)
    epochs = [Epoch(9.0 + number, 20.0 + number, 100, taken, 80.0 + number) for number, taken in enumerate(seconds)]
    training: Any = SimpleNamespace(model=model(), device=torch.device("cpu"), group=ALONE, epochs=epochs, kept_epoch=2)
    monkeypatch.setattr(experiment.devices, "peak_memory", lambda _: 300 * 2**20)
    vocabulary = Vocabulary.of("ab", Tokenizer("char", "none"))
    experiment.write_results("concise", params_of(), tmp_path, training, {"kernel": "any"}, vocabulary)
    speed, trained = (read_json(tmp_path / f"metrics/{name}_concise.json") for name in ("throughput", "train"))
    assert [speed[f"tokens_per_second{part}"] for part in ("_q1", "", "_q3")] == [20, 25, 50]
    last = len(seconds) - 1
    assert (speed["seconds"], speed["peak_memory_mib"]) == (80 + last, 300)
    assert (trained["perplexity"], trained["valid_perplexity"], trained["kept_epoch"]) == (9 + last, 21, 2)


def test_the_seed_orders_the_windows_of_a_training(small_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[object] = []

    def stop(training: experiment.Training) -> None:
        orders.append(training.generator.getstate())
        raise Diverged("seen")

    monkeypatch.setattr(experiment.Training, "run", stop)
    for seed in (0, 7):
        with pytest.raises(Diverged):
            experiment.train("scratch", params_of(seed=seed), small_project.root)
    assert orders == [random.Random(seed).getstate() for seed in (0, 7)]


def test_code_in_cpp_and_its_headers_belong_to_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "training").mkdir()
    monkeypatch.setattr(experiment, "__file__", str(tmp_path / "training/experiment.py"))
    keys = set()
    for name in ("loop.py", "lstm.h", "library.cpp"):
        (tmp_path / "training" / name).touch()
        keys.add(experiment.training_key("scratch", params_of(), {}, {}))
    assert len(keys) == 3


def test_what_an_editor_leaves_behind_belongs_to_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training/loop.py").write_text("one")
    monkeypatch.setattr(experiment, "__file__", str(tmp_path / "training/experiment.py"))
    keys = []
    for change in (
        lambda: None,
        lambda: (tmp_path / "training/.#loop.py").symlink_to("nowhere"),
        lambda: (tmp_path / "training/loop.py").write_text("two"),
    ):
        change()
        keys.append(experiment.training_key("scratch", params_of(), {}, {}))
    assert keys[0] == keys[1] != keys[2]
