"""Choice of the device, its numerics, and the record of the environment."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lstm_lm.core import device, numerics
from lstm_lm.core.json_file import read_json
from lstm_lm.core.processor import Processor
from lstms import KINDS
from machines import needs_avx2
from projects import Project
from stage_process import STAGE_SECONDS

CPU = torch.device("cpu")


@pytest.mark.parametrize(("cuda", "best"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_or_the_cpu(cuda: bool, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert device.choose("auto").type == best
    assert device.choose("cpu") == CPU


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=r"^device is cuda, which this machine does not have; allowed here: auto, cpu$"
    ):
        device.choose("cuda")


def test_what_cannot_be_repeated_is_an_error_from_now_on() -> None:
    device.configure(CPU, "fp32", "portable")
    assert torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))


def test_cublas_has_its_workspace_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def compute(_device: torch.device) -> bool:
        seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return True

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(device, "_has_bf16", compute)
    device.configure(CPU, "bf16", "portable")
    assert seen == [":4096:8"]


def test_where_torch_does_not_heed_the_pin_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "is_x86_64", lambda: True)
    monkeypatch.setattr(device, "unpinned", list)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    device.configure(CPU, "fp32", "portable")
    assert capsys.readouterr().err.startswith("torch computes with DEFAULT, not AVX2: ")


def test_nothing_is_rounded_to_tf32_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.rnn]
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)
    for precision, expected in (("tf32", "tf32"), ("fp32", "ieee")):
        device.configure(torch.device("cuda"), precision, "portable")
        assert [setting.fp32_precision for setting in settings] == [expected] * 2


def test_the_cpu_has_no_tf32() -> None:
    with pytest.raises(ValueError, match=r"^train\.precision is 'tf32', which .* does not have; use fp32$"):
        device.configure(CPU, "tf32", "portable")


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_bf16_trains_or_is_refused(kind: str, kernel: str, small_project: Project) -> None:
    small_project.set(numerics="native", train__precision="bf16", scratch__kernel=kernel)
    with small_project.script(f"train_{kind}") as process:
        _, err = process.communicate(timeout=STAGE_SECONDS)
    if process.returncode == 1:
        start = f"train_{kind}: train.precision is 'bf16', in which torch.nn.LSTM does not compute on "
        assert err.startswith(start)
        assert err.endswith("fp32\n")
        pytest.skip(err.strip())
    assert process.returncode == 0, err
    assert read_json(small_project.root / f"metrics/environment_{kind}.json")["precision"] == "bf16"
    assert read_json(small_project.root / f"metrics/train_{kind}.json")["perplexity"] < 20


def test_a_library_that_computes_in_float16_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
            return inputs.half(), None

    monkeypatch.setattr(device.nn, "LSTM", lambda *_: Half())
    with pytest.raises(ValueError, match=r"^train\.precision is 'bf16', in which torch\.nn\.LSTM does not compute on "):
        device.configure(CPU, "bf16", "portable")


@pytest.mark.parametrize(
    ("pinned", "use"), [(True, "numerics native, which has it on processors with AVX-512, or fp32"), (False, "fp32")]
)
def test_where_the_pins_may_be_why_there_is_no_bf16_native_is_named(
    pinned: bool, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "is_portable", lambda: pinned)
    monkeypatch.setattr(device, "_has_bf16", lambda _: False)
    with pytest.raises(ValueError, match=rf"^train\.precision is 'bf16', .* threads?; use {use}$"):
        device.configure(CPU, "bf16", "portable")


def test_memory_is_the_machine_s_or_the_container_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(device, "CONTAINER_LIMIT", limit)
    installed = device.total_memory(CPU)
    assert 2**27 < installed < 2**50
    for content, expected in (("max\n", installed), ("123456789\n", 123456789), (f"{2**60}\n", installed)):
        limit.write_text(content)
        assert device.total_memory(CPU) == expected
    assert device.peak_memory(CPU) < installed


@pytest.mark.skipif(not device.PROCESS.exists(), reason="needs Linux's /proc")
def test_the_peak_is_this_process_s_not_that_of_the_one_that_started_it() -> None:
    code = "import torch; from lstm_lm.core import device; print(device.peak_memory(torch.device('cpu')))"
    starter = (
        f"import subprocess, sys; held = bytes(range(256)) * 2**23; subprocess.run([sys.executable, '-c', {code!r}])"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, check=True)
    assert 2**26 < int(done.stdout) < 2**30, "its starter holds 2 GiB"


def test_elsewhere_the_peak_is_what_the_system_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("missing", None), ("other", "Name: python\n")):
        monkeypatch.setattr(device, "PROCESS", tmp_path / name)
        if content:
            (tmp_path / name).write_text(content)
        assert device.peak_memory(CPU) > 2**26


def test_the_record_of_what_is_the_same_everywhere_names_no_machine_and_no_version() -> None:
    record = device.environment(CPU, "fused in C++", "fp32", everywhere=True)
    assert record == {"device": "cpu", "kernel": "fused in C++", "precision": "fp32"}


def test_builds_of_one_version_of_torch_have_equal_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.13.0+cu130")
    cuda = device.environment(CPU, "torch.nn.LSTM", "fp32")
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    assert device.environment(CPU, "torch.nn.LSTM", "fp32") == cuda
    assert cuda["torch"] == "2.13.0"


@needs_avx2
def test_two_hosts_have_equal_records(monkeypatch: pytest.MonkeyPatch) -> None:
    here = device.environment(CPU, "torch.nn.LSTM", "fp32")
    monkeypatch.setattr(device, "processor", lambda: Processor("another processor", frozenset()))
    assert device.environment(CPU, "torch.nn.LSTM", "fp32") == here
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert device.device_name(CPU) == "another processor, 64 threads"
    assert device.environment(CPU, "torch.nn.LSTM", "fp32") == here


@needs_avx2
def test_the_processor_and_its_threads_count_only_where_its_own_code_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    record = device.environment(CPU, "torch.nn.LSTM", "fp32")
    assert record["instructions"] == "portable x86-64 (AVX2, FMA)"
    for name in numerics.PINS:
        with monkeypatch.context() as context:
            context.delenv(name)
            record = device.environment(CPU, "torch.nn.LSTM", "fp32")
            assert device.device_name(CPU) in str(record["instructions"])
