"""The pins that make every processor compute alike: set, respected, taken back."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from lstm_lm.core import device, numerics
from machines import needs_avx2


def ran(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this code in a fresh process, which must succeed."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=clean() | variables, capture_output=True, text=True, check=True)


def computed(code: str, first: str = "", **variables: str) -> tuple[Any, str]:
    """What a fresh process prints as JSON after importing the package, and its stderr; it runs `first` before."""
    done = ran(f"{first}import json, os, lstm_lm\nfrom lstm_lm.core import numerics\n{code}", **variables)
    return json.loads(done.stdout), done.stderr


def clean() -> dict[str, str]:
    """This process's environment without what the package sets."""
    ours = {*numerics.PINS, numerics.MARK, "GOMP_SPINCOUNT"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def test_importing_the_package_pins() -> None:
    found, said = computed("print(json.dumps({name: os.environ[name] for name in numerics.PINS}))")
    assert found == numerics.PINS
    assert said == ""


@pytest.mark.parametrize(
    ("variables", "spins"), [({}, 20000), ({"GOMP_SPINCOUNT": "7"}, 7), ({"OMP_WAIT_POLICY": "PASSIVE"}, 0)]
)
def test_gnu_openmp_waits_awake_for_a_moment_unless_the_user_decides(variables: dict[str, str], spins: int) -> None:
    said = computed("import lstm_lm.core.device; print(1)", OMP_DISPLAY_ENV="VERBOSE", **variables)[1]
    if "GOMP_" not in said:
        pytest.skip("torch uses another OpenMP library here")
    assert f"GOMP_SPINCOUNT = '{spins}'" in said


@needs_avx2
def test_torch_onednn_and_mkl_heed_the_pins() -> None:
    said = told("portable")
    assert said.splitlines()[-1] == "AVX2"
    assert "cpu,isa:Intel AVX2\n" in said
    assert "CNR:COMPATIBLE" in said
    assert ",BLAS:1" in said, "products have one thread"
    assert told("portable", "threads.set_count(2)").count(",BLAS:1") == said.count(",BLAS:1"), "whatever torch has"


@needs_avx2
def test_native_gives_mkl_its_threads_back_but_where_the_user_has_set_them() -> None:
    said = told("native")
    assert "SGEMM" in said
    assert "CNR:COMPATIBLE" not in said
    assert ",BLAS:1" not in said
    assert ",BLAS:1" in told("native", MKL_DOMAIN_NUM_THREADS="MKL_DOMAIN_BLAS=1")


def told(mode: str, first: str = "", **variables: str) -> str:
    """What the libraries say of a small computation in a fresh process, and torch's instructions in the last line."""
    code = f"""
import lstm_lm.core.device, torch
from lstm_lm.core import threads
lstm_lm.core.device.configure(torch.device("cpu"), "fp32", "{mode}")
{first}
torch.nn.LSTM(2, 3)(torch.zeros(1, 1, 2))
torch.ones(40, 40) @ torch.ones(40, 40)
print(torch.backends.cpu.get_cpu_capability())
"""
    verbose = {"ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1", "OMP_NUM_THREADS": "2", "MKL_DYNAMIC": "FALSE"}
    return ran(code, **(verbose | variables)).stdout


def test_native_takes_back_what_this_package_set_here_or_in_the_process_that_started_this_one() -> None:
    code = 'numerics.choose("native"); print(json.dumps([name for name in numerics.PINS if name in os.environ]))'
    assert computed(code) == ([], "")
    inherited = numerics.PINS | {numerics.MARK: ",".join(numerics.PINS)}
    assert computed(code, **inherited) == ([], "")
    assert computed(code, MKL_CBWR="COMPATIBLE") == (["MKL_CBWR"], ""), "the user's own"


def test_a_variable_of_the_user_s_is_respected_with_a_line_where_it_breaks_the_promise() -> None:
    code = 'numerics.choose("portable"); print(json.dumps([os.environ["MKL_CBWR"], numerics.unpinned()]))'
    found, said = computed(code, MKL_CBWR="AUTO")
    assert found == ["AUTO", ["MKL_CBWR"]]
    assert said.count("\n") == 1
    assert said.startswith("MKL_CBWR is 'AUTO', so the results of torch.nn.LSTM may differ")
    said = computed(code, ATEN_CPU_CAPABILITY="AVX2")[1]
    assert said.startswith("ATEN_CPU_CAPABILITY is 'AVX2', so"), "torch ignores it in capitals"


@needs_avx2
def test_torch_tells_whether_a_pin_took_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.is_portable()
    with monkeypatch.context() as changed:
        changed.setenv("MKL_CBWR", "AUTO")
        assert not device.is_portable()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert not device.is_portable()


def test_other_machines_have_no_pins() -> None:
    code = "print(json.dumps([name for name in numerics.PINS if name in os.environ]))"
    arm = "import platform; platform.machine = lambda: 'aarch64'\n"
    assert computed(code, first=arm) == ([], "")
