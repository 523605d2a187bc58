"""What tests need of a machine: where it is missing, they are skipped and say so."""

import os
import shutil

import pytest

from lstm_lm.core.device import is_portable
from lstm_lm.core.numerics import is_x86_64
from lstm_lm.core.processor import processor
from lstm_lm.model.compiled import FLAGS

PROGRAM_FLAGS = [flag for flag in FLAGS if flag not in ("-O3", "-fPIC", "-shared")]
"""The library's flags as far as numbers depend on them: for a program around its code."""

needs_compiler = pytest.mark.skipif(
    shutil.which("c++") is None or (is_x86_64() and "fma" not in (processor().instructions or {"fma"})),
    reason="needs a C++ compiler and, on x86-64, a processor with FMA",
)
needs_avx2 = pytest.mark.skipif(
    not {"avx2", "fma"} <= processor().instructions, reason="needs an x86-64 processor with AVX2 and FMA"
)
needs_pins = pytest.mark.skipif(
    not is_portable(), reason="needs the pins of portable numerics, on an x86-64 processor with AVX2 and FMA"
)
needs_corpora = pytest.mark.skipif(
    not os.environ.get("CORPUS_MIRROR"),
    reason="needs the real corpora: set CORPUS_MIRROR to a folder or base URL that holds them",
)
