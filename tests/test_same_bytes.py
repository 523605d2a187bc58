"""The same training gives the same bytes with any number of threads, any width of vectors, on any x86-64 processor.

Other processors are emulated. The emulator gets some of oneDNN's generated code wrong (its results are not merely
rounded), so nn.LSTM is compared without oneDNN there; with oneDNN it is compared natively.
"""

import functools
import json
import os
import shutil
import subprocess
import sys

import pytest

from lstm_lm.core.processor import processor
from projects import ROOT

FROM_SCRATCH = ("book", "fused", "fused_pytorch")
EMULATOR = "qemu-x86_64"

pytestmark = pytest.mark.skipif(
    not {"avx2", "fma"} <= processor().instructions,
    reason="the same bytes are promised to x86-64 processors with AVX2 and FMA",
)


@functools.cache
def trained(*kernels: str, runner: tuple[str, ...] = (), threads: int = 1, **variables: str) -> dict[str, str]:
    """Kernel -> digest of what its training leaves, in a process of its own."""
    command = [*runner, sys.executable, str(ROOT / "tests/small_training.py"), *kernels]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A compiler for processors without AVX-512."""
    path = tmp_path_factory.mktemp("compiler") / "c++"
    path.write_text('#!/bin/sh\nexec c++ "$@" -march=x86-64-v3\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
def test_any_number_of_threads(threads: int) -> None:
    kernels = (*FROM_SCRATCH, "library")
    more_than_cores = {"MKL_DYNAMIC": "FALSE"}
    assert trained(*kernels, threads=threads, **more_than_cores) == trained(*kernels)


@pytest.mark.parametrize("width", [16, 64])
def test_any_width_of_vectors_in_the_loops(width: int) -> None:
    assert trained("fused", CXXFLAGS=f"-DVECTOR_BYTES={width} -Wno-psabi") == trained("fused")


@pytest.mark.skipif("avx512f" not in processor().instructions, reason="this processor has no AVX-512 to do without")
def test_with_and_without_the_widest_instructions(narrow: str) -> None:
    kernels = (*FROM_SCRATCH, "library")
    assert trained(*kernels, CXX=narrow) == trained(*kernels)


def test_the_numbers_are_the_processor_s_own_where_that_is_asked_for() -> None:
    own = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AUTO"}
    kernels = ("fused_pytorch", "library")
    pinned, unpinned = trained(*kernels), trained(*kernels, **own)
    assert all(pinned[kernel] != unpinned[kernel] for kernel in kernels), "otherwise these tests see no difference"


@pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"needs {EMULATOR} (Debian: qemu-user)")
@pytest.mark.parametrize("processor", ["Haswell", "EPYC"])
def test_an_emulated_processor_of_either_vendor(processor: str, narrow: str) -> None:
    kernels = (*FROM_SCRATCH, "library_without_onednn")
    emulated = trained(*kernels, runner=(EMULATOR, "-cpu", processor), CXX=narrow)
    assert emulated == trained(*kernels)
