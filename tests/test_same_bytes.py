"""The same bytes everywhere: trainings with other instructions, threads, compilers, systems and versions."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_lm.core.processor import processor
from machines import needs_pins
from projects import ROOT

FUSED = ("fused", "fused, resumed", "fused, words", "fused, random")
PINNED = ("fused_pytorch", "book", "library")
"""What has the same bytes on processors with AVX2 and FMA alone."""

EMULATOR = "qemu-x86_64"


@functools.cache
def trained(
    *cases: str, python: tuple[str, ...] = (sys.executable,), threads: int = 1, **variables: str
) -> dict[str, str]:
    """Case -> digest of what its training leaves, in a process of its own."""
    command = [*python, str(ROOT / "tests/small_training.py"), *cases]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), variables.pop("PYTHONPATH", "")])
    # More threads than cores that are free would burn them while they wait.
    threading = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    environment = os.environ | threading | {"PYTHONPATH": path} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def compilers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Compilers for processors without AVX-512 and for 64-bit ARM, and one that is quick."""
    folder, found = tmp_path_factory.mktemp("compilers"), {}
    for name, command, flag in (
        ("narrow", "c++", "-march=x86-64-v3"),
        ("arm", "aarch64-linux-gnu-g++", "-march=armv8.2-a"),
        ("quick", "c++", "-O1"),
    ):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@" {flag}\n')
        (folder / name).chmod(0o755)
        found[name] = str(folder / name)
    return found


def test_a_training_that_was_stopped_ends_like_one_that_was_not() -> None:
    both = trained(*FUSED)
    assert both["fused, resumed"] == both["fused"]
    assert len(set(both.values())) == len(FUSED) - 1


@needs_pins
@pytest.mark.parametrize("threads", [2, 8])
def test_any_number_of_threads(threads: int) -> None:
    assert trained(*FUSED, *PINNED, threads=threads, MKL_DYNAMIC="FALSE") == trained(*FUSED, *PINNED)


# A processor with AVX-512 has vectors of 64 bytes anyway.
@pytest.mark.parametrize("width", [16] if "avx512f" in processor().instructions else [16, 64])
def test_any_width_of_vectors(width: int, compilers: dict[str, str]) -> None:
    flags = f"-DVECTOR_BYTES={width} -Wno-psabi"
    assert trained(*FUSED, CXX=compilers["quick"], CXXFLAGS=flags) == trained(*FUSED)


@needs_pins
@pytest.mark.skipif("avx512f" not in processor().instructions, reason="this processor has no AVX-512 to do without")
def test_with_and_without_the_widest_instructions(compilers: dict[str, str]) -> None:
    assert trained(*FUSED, *PINNED, CXX=compilers["narrow"]) == trained(*FUSED, *PINNED)


@needs_pins
def test_only_the_libraries_need_pins() -> None:
    own = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AUTO"}
    pinned, unpinned = trained(*FUSED, *PINNED), trained(*FUSED, *PINNED, **own)
    assert {case for case in pinned if pinned[case] != unpinned[case]} == {"fused_pytorch", "library", "book"}


@pytest.mark.slow
@needs_pins
@pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"needs {EMULATOR} (Debian: qemu-user)")
@pytest.mark.parametrize("processor", ["Haswell", "EPYC"])
def test_an_emulated_processor_of_either_vendor(processor: str, compilers: dict[str, str]) -> None:
    cases = ("fused", "fused_pytorch", "book", "library_without_onednn")
    emulated = trained(*cases, python=(EMULATOR, "-cpu", processor, sys.executable), CXX=compilers["narrow"])
    assert emulated == trained(*cases)


@pytest.mark.slow
def test_emulated_arm_with_another_torch(compilers: dict[str, str]) -> None:
    folder = os.environ.get("EMULATED_ARM")
    if not (folder and shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-g++")):
        pytest.skip("needs qemu-aarch64, aarch64-linux-gnu-g++ and EMULATED_ARM, a folder that .ci/emulated_arm made")
    python = ("qemu-aarch64", "-L", folder, f"{folder}/usr/bin/python3.11")
    packages = str(Path(folder, "site-packages"))
    assert trained(*FUSED, python=python, PYTHONPATH=packages, CXX=compilers["arm"]) == trained(*FUSED)


def test_another_version_of_torch() -> None:
    python = os.environ.get("OTHER_TORCH")
    if not python:
        pytest.skip(
            "needs OTHER_TORCH, a Python with another version or build of torch and this package's dependencies"
        )
    assert trained(*FUSED, python=(python,)) == trained(*FUSED)
