"""Code that computes nonsense is found before a model is used."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from lstm_lm.model import arithmetic, lstm_concise, lstm_fused, lstm_scratch
from lstm_lm.model.arithmetic import check_arithmetic
from lstm_lm.model.language_model import Architecture
from lstm_lm.model.native_backend import Native
from machines import needs_compiler, needs_pins

PARTS = {"vocab_size": 11, "hidden": 9, "layers": 2, "embedding": 9, "dropout": 0.5}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kernel", ["book", "fused", "fused_pytorch", "library"])
def test_right_code_passes(kernel: str, tied: bool) -> None:
    check_arithmetic(Architecture.model_validate({**PARTS, "kernel": kernel, "tied": tied}), rows=3)


@pytest.mark.parametrize("kernel", ["book", "fused", "fused_pytorch", "library"])
def test_a_window_whose_inputs_are_all_dropped_passes(kernel: str) -> None:
    """With one row of one-hot vectors dropout may take all of them; with these sizes it does."""
    check_arithmetic(Architecture.model_validate({"kernel": kernel, "vocab_size": 28, "hidden": 72, "dropout": 0.5}), 1)


@needs_compiler
def test_the_product_with_one_hot_vectors_after_dropout_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Native.product
    monkeypatch.setattr(Native, "product", lambda *given: right(*given) + 1)
    with pytest.raises(ValueError, match=r"^the kernel fused computes wrong values on this machine "):
        check_arithmetic(Architecture(kernel="fused", vocab_size=11, hidden=9, dropout=0.5), rows=3)


@pytest.mark.parametrize("method", ["run_back", "loss", "look_up", "look_up_back"])
def test_one_wrong_number_is_noticed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(Native, method)

    def wrong(*given: object) -> torch.Tensor:
        result = right(*given)
        first = result if isinstance(result, torch.Tensor) else result[0]
        first.view(-1)[0] += 1
        return result

    monkeypatch.setattr(Native, method, wrong)
    with pytest.raises(
        ValueError, match=r"^the kernel fused computes wrong values on this machine \(the .* is off by "
    ):
        check_arithmetic(Architecture(kernel="fused", vocab_size=11, hidden=9), rows=3)


def test_the_code_that_only_dropout_uses_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    # Dropout stands between single layers of the library; without it, one nn.LSTM has them all.
    right, computed = lstm_concise.LibraryLayer.forward, []
    monkeypatch.setattr(lstm_concise.LibraryLayer, "forward", lambda *given: computed.append(given) or right(*given))
    check_arithmetic(Architecture.model_validate({**PARTS, "kernel": "library"}), rows=3)
    assert len(computed) == PARTS["layers"]


def test_a_large_vocabulary_takes_no_more_memory_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(arithmetic, "MOST_TYPES", 20)
    for module in (lstm_fused.FusedOutput, lstm_scratch.BookOutput):
        monkeypatch.setattr(module, "__init__", recorded(module.__init__, sizes))
    check_arithmetic(Architecture(kernel="fused", vocab_size=10**9, hidden=9), rows=3)
    assert set(sizes) == {20}


def recorded(init: Callable[..., None], sizes: list[int]) -> Callable[..., None]:
    """The constructor of an output layer, which also writes down the vocabulary's size."""

    def call(self: object, hidden: int, vocab_size: int, *others: object) -> None:
        sizes.append(vocab_size)
        init(self, hidden, vocab_size, *others)

    return call


@needs_pins
@pytest.mark.parametrize("variable", arithmetic.SUSPECTS)
def test_too_few_threads_for_the_library_are_noticed(variable: str) -> None:
    code = """
import torch
from lstm_lm.model.arithmetic import check_arithmetic
from lstm_lm.model.language_model import Architecture, fix_threads
architecture = Architecture(kernel="library", vocab_size=28, hidden=256)
fix_threads(architecture)
check_arithmetic(architecture, rows=32)
"""
    value = {"OMP_THREAD_LIMIT": "1", "OMP_DYNAMIC": "true", "OMP_MAX_ACTIVE_LEVELS": "0"}[variable]
    command, environment = [sys.executable, "-c", code], os.environ | {variable: value}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if variable == "OMP_DYNAMIC" and done.returncode == 0:
        pytest.skip("OpenMP granted the threads: this machine is idle")
    assert done.stderr.splitlines()[-1].startswith("ValueError: torch.nn.LSTM computes wrong values on this machine")
    assert done.stderr.rstrip().endswith(f"unset {variable}={value}")
