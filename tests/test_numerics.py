"""The pins that make every processor compute alike: set, respected, taken back."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lstm_lm import numerics

SUPPORTED = pytest.mark.skipif(not {"avx2", "fma"} <= numerics.flags(), reason="needs an x86-64 CPU with AVX2 and FMA")


def computed(code: str, **variables: str) -> tuple[Any, str]:
    """What a fresh process prints as JSON after importing the package, and its stderr."""
    inherited = {name: value for name, value in os.environ.items() if name not in (*numerics.PINS, numerics.MARK)}
    command = [sys.executable, "-c", f"import json, os, lstm_lm\nfrom lstm_lm import numerics\n{code}"]
    done = subprocess.run(command, env=inherited | variables, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_importing_the_package_pins() -> None:
    found, said = computed("print(json.dumps({name: os.environ[name] for name in numerics.PINS}))")
    assert found == numerics.PINS
    assert said == ""


@SUPPORTED
def test_torch_onednn_and_mkl_heed_the_pins() -> None:
    code = """
import torch
numerics.choose("portable")
torch.nn.LSTM(2, 3)(torch.zeros(1, 1, 2))
torch.ones(40, 40) @ torch.ones(40, 40)
print(json.dumps(torch.backends.cpu.get_cpu_capability()))
"""
    verbose = {"ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    script = f"import json, os, lstm_lm\nfrom lstm_lm import numerics\n{code}"
    environment = {name: value for name, value in os.environ.items() if name not in (*numerics.PINS, numerics.MARK)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment | verbose, capture_output=True, text=True, check=True
    )
    said = done.stdout
    assert said.splitlines()[-1] == '"AVX2"'
    assert "cpu,isa:Intel AVX2\n" in said
    assert "CNR:COMPATIBLE" in said


def test_native_takes_back_what_this_package_set_here_or_in_the_process_that_started_this_one() -> None:
    code = 'numerics.choose("native"); print(json.dumps([name for name in numerics.PINS if name in os.environ]))'
    assert computed(code) == ([], "")
    inherited = numerics.PINS | {numerics.MARK: ",".join(numerics.PINS)}
    assert computed(code, **inherited) == ([], "")
    assert computed(code, MKL_CBWR="COMPATIBLE") == (["MKL_CBWR"], ""), "the user's own"


def test_a_variable_of_the_user_s_is_respected_with_a_line_where_it_breaks_the_promise() -> None:
    code = 'numerics.choose("portable"); print(json.dumps([os.environ["MKL_CBWR"], numerics.is_portable()]))'
    found, said = computed(code, MKL_CBWR="AUTO")
    assert found == ["AUTO", False]
    assert said.count("\n") == 1
    assert said.startswith("MKL_CBWR is 'AUTO', so the results may differ from those of other processors")
    assert computed(code, ATEN_CPU_CAPABILITY="AVX2")[1] == "", "the same in capitals"


@SUPPORTED
def test_a_processor_without_the_instructions_is_not_called_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numerics.is_portable()
    monkeypatch.setattr(numerics, "flags", lambda: {"avx"})
    assert not numerics.is_portable()


def test_numpy_does_without_the_widest_instructions_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (({"avx2"}, None), ({"avx2", "avx512f"}, "X86_V4")):
        monkeypatch.delenv("NPY_DISABLE_CPU_FEATURES", raising=False)
        monkeypatch.setattr(numerics, "flags", lambda flags=flags: flags)
        numerics.pin()
        assert os.environ.get("NPY_DISABLE_CPU_FEATURES") == expected
    monkeypatch.delenv("NPY_DISABLE_CPU_FEATURES")
    monkeypatch.setenv(numerics.MARK, ",".join(numerics.PINS))
