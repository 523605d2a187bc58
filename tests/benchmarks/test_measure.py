"""Contestants take turns, each in a process with its own mode of the libraries."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np
import pytest
import yaml

from benchmarks import ROOT, ptb
from benchmarks.contestants import CONTESTANTS, Shape, contestants
from benchmarks.measure import CPU, Entry, interleaved, processes, quartiles, ratios, taking_turns
from benchmarks.run import ENTRIES, FLOOR, GRID_ENTRIES, RATIOS, STACK_ENTRIES
from lstm_lm.core import device as devices
from lstm_lm.core.json_file import read_json
from machines import needs_avx2

SMALL = Shape(hidden=4, batch_size=2, num_steps=3)


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, Executor]]:
    """A process for each mode of the libraries; it takes seconds to start them."""
    with processes() as started:
        yield started


@needs_avx2
def test_each_mode_has_a_process_whose_libraries_compute_in_it(pools: dict[str, Executor]) -> None:
    records = {
        mode: pool.submit(devices.environment, CPU, "any", "fp32").result()["instructions"]
        for mode, pool in pools.items()
    }
    entries = [Entry(name, mode) for name in contestants(CPU) for mode in pools]
    seconds = taking_turns(pools, entries, SMALL, steps=1, rounds=2, warm_up=0)
    assert records["portable"] == "portable x86-64 (AVX2, FMA)"
    assert records["native"] != records["portable"]
    assert set(seconds) == {f"{name}, {mode}" for name in contestants(CPU) for mode in ("portable", "native")}
    assert all((taken > 0).all() and taken.shape == (2,) for taken in seconds.values())


def test_clocks_take_turns_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []

    def clock(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    seconds = interleaved({"a": lambda: clock("a"), "b": lambda: clock("b")}, rounds=2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert seconds["a"].tolist() == [3, 5]
    assert seconds["b"].tolist() == [4, 6]


def test_a_ratio_is_of_the_first_over_the_second() -> None:
    speeds = {name: {"tokens_per_second": {"median": speed}} for name, speed in (("a", 3), ("b", 2))}
    assert ratios(speeds, {"a over b": ("a", "b"), "a over c": ("a", "c")}) == {"a over b": 1.5}


def test_quartiles_have_four_digits() -> None:
    assert quartiles(np.array([1, 2, 3, 4, 123456])) == {"median": 3, "q1": 2, "q3": 4}


def test_every_entry_is_a_contestant_and_every_ratio_is_of_entries() -> None:
    entries = (*ENTRIES, *GRID_ENTRIES, *STACK_ENTRIES, *ptb.ENTRIES, FLOOR)
    assert {entry.contestant for entry in entries} <= CONTESTANTS.keys()
    assert {name for pair in RATIOS.values() for name in pair} <= {str(entry) for entry in ENTRIES}


def test_words_are_measured_in_the_shape_of_their_recipe(
    pools: dict[str, Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ptb, "processes", lambda: contextlib.nullcontext(pools))
    params = yaml.safe_load((ROOT / "recipes/ptb_small/recipe.yaml").read_text(encoding="utf-8"))["params"]
    model, train = params["model"], params["train"]
    tokens = read_json(ROOT / "recipes/ptb_small/metrics/tokenize.json")
    assert (ptb.SHAPE.hidden, ptb.SHAPE.layers, ptb.SHAPE.embedding) == tuple(
        model[key] for key in ("hidden", "layers", "embedding")
    )
    assert (ptb.SHAPE.batch_size, ptb.SHAPE.num_steps) == (train["batch_size"], train["num_steps"])
    assert ptb.SHAPE.vocab_size == tokens["vocabulary_size"]
    report = ptb.measure(rounds=1, steps=1, shape=Shape(hidden=4, batch_size=2, num_steps=3, layers=2, embedding=4))
    assert {"nn.LSTM, usual loop, portable", "nn.LSTM, usual loop, native"} <= report["speeds"].keys()
    assert report["ratios"].keys() == {name for name, pair in ptb.RATIOS.items() if {*pair} <= report["speeds"].keys()}
    assert {name for pair in ptb.RATIOS.values() for name in pair} <= {str(entry) for entry in ptb.ENTRIES}
