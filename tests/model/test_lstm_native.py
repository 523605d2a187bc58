"""What the loops in C++ have of their own: their build and cache, their fallback, their arithmetic, their threads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lstm_lm.model import lstm_fused, lstm_native
from lstm_lm.model.lstm_fused import FusedLayer
from lstm_lm.model.lstm_native import NATIVE, library, loops
from lstms import FUSED, SHAPES, Shape, assert_same, build, everything, random_state, random_tokens, textbook_weights

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
CPU = torch.device("cpu")


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing cached, on disk or in the process, before and after; the folder of the cache."""
    monkeypatch.setattr(lstm_native, "CACHE", tmp_path / "cache")
    library.cache_clear()
    yield tmp_path / "cache"
    library.cache_clear()


def compiler_that(tmp_path: Path, script: str) -> str:
    """A compiler of the name that CXX can be set to: a shell script."""
    path = tmp_path / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_it_is_compiled_once_and_found_again(anew: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CXX", compiler_that(tmp_path, f'echo called >> "{log}"; exec c++ "$@"'))
    assert loops(CPU, "fp32").startswith("C++ (")
    calls = log.read_text(encoding="utf-8")
    library.cache_clear()
    assert library() is not None
    assert log.read_text(encoding="utf-8") == calls
    assert [path.suffix for path in anew.rglob("*") if path.is_file()] == [".so"]


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "no C++ compiler '/nowhere/c++'; install one or set CXX"),
        ("echo 'In file included from here:' >&2; echo 'x.cpp:1: error: no such thing' >&2; exit 1", "error: no such"),
        ('for last; do :; done; while [ "$1" != -o ]; do shift; done; echo garbage > "$2"', "file too short"),
    ],
    ids=["none", "refuses", "garbage"],
)
def test_without_a_working_compiler_the_loops_are_pytorch_s_and_it_says_so(
    script: str | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++" if script is None else compiler_that(tmp_path, script))
    shape = SHAPES[0]
    weights, tokens, state = textbook_weights(shape), random_tokens(shape), random_state(shape)
    assert loops(CPU, "fp32") == "PyTorch"
    actual, expected = (everything(build(kernel, weights), tokens, state) for kernel in FUSED)
    assert_same(actual, expected, rtol=0, atol=0)
    message = capsys.readouterr().err
    assert message.startswith("no loops in C++, computing with those in PyTorch: ")
    assert message.count("\n") == 1
    assert reason in message


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(("device", "precision"), [("cuda", "fp32"), ("mps", "fp32"), ("cpu", "bf16")])
def test_nothing_is_compiled_where_it_is_of_no_use(
    device: str, precision: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    FusedLayer(5, 3, NATIVE)
    assert loops(torch.device(device), precision) == "PyTorch"
    assert capsys.readouterr().err == ""


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_a_compiler_the_loops_in_pytorch_are_not_used(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(lstm_fused, "run")
    monkeypatch.delattr(lstm_fused, "run_back")
    shape = SHAPES[0]
    everything(build("fused", textbook_weights(shape, dtype)), random_tokens(shape), random_state(shape, dtype))


@needs_compiler
@pytest.mark.usefixtures("anew")
def test_wider_vectors_compute_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler_that(tmp_path, 'exec c++ -DVECTOR_BYTES=64 "$@"'))
    assert library() is not None
    for shape in SHAPES:
        weights, tokens, state = textbook_weights(shape), random_tokens(shape), random_state(shape)
        expected = everything(build("library", weights), tokens, state)
        assert_same(everything(build("fused", weights), tokens, state), expected, rtol=1e-10, atol=1e-12)


@needs_compiler
def test_any_number_of_threads_gives_the_same_bytes() -> None:
    shape = Shape(6, 7, 5, 37)
    lstm = build("fused", textbook_weights(shape, torch.float32))
    tokens, state = random_tokens(shape), random_state(shape, torch.float32)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(everything(lstm, tokens, state))
    torch.set_num_threads(before)
    for result in results[1:]:
        # The recurrent weights' gradient is one product of torch's, whose sums may depend on its threads.
        assert all(
            torch.equal(result[name], results[0][name]) for name in results[0] if not name.startswith("gradient of W_h")
        )


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_activations_are_right_to_the_last_bits(dtype: torch.dtype) -> None:
    x = torch.cat([torch.linspace(-30, 30, 20001), torch.linspace(-1e-3, 1e-3, 2001), torch.tensor([1e30, -1e30])])
    x = torch.cat([x, torch.tensor([torch.inf, -torch.inf])]).to(dtype)
    zeros = x.new_zeros(len(x), 1)
    gates = x[None, :, None].repeat(1, 1, 4)
    trace = lstm_native.run(gates.clone(), x.new_zeros(1, 4), zeros, zeros)
    precise = gates.double()
    expected = torch.cat([precise[..., :1].tanh(), precise[..., 1:].sigmoid()], dim=-1)
    torch.testing.assert_close(trace.gates.double(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-37)


@needs_compiler
def test_what_is_not_a_number_stays_so() -> None:
    gates, zeros = torch.zeros(2, 1, 4), torch.zeros(1, 1)
    gates[0, 0, 2] = torch.nan
    trace = lstm_native.run(gates, torch.zeros(1, 4), zeros, zeros)
    assert trace.cells.isnan().flatten().tolist() == [False, True, True]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_types_are_left_to_the_loops_in_pytorch(dtype: torch.dtype) -> None:
    gates, zeros, recurrent = torch.zeros(2, 1, 12, dtype=dtype), torch.zeros(1, 3), torch.ones(3, 12, dtype=dtype)
    expected = lstm_fused.run(gates.clone(), recurrent, zeros, zeros)
    actual = lstm_native.run(gates, recurrent, zeros, zeros)
    assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))
