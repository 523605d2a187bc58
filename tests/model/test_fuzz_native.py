"""The C++ code under sanitizers, with random arguments: it stays inside its arrays and refuses wrong ids."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lstm_lm.model import compiled
from lstm_lm.model.native_backend import _SIGNATURES
from machines import PROGRAM_FLAGS

PROGRAM = Path(__file__).with_name("fuzz.cpp")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
CALLS = 4000


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The fuzzer, compiled with sanitizers for this processor."""
    if shutil.which("c++") is None:
        pytest.skip("needs a C++ compiler")
    (tmp_path / "nothing.cpp").write_text("int main() {}\n")
    trial = ["c++", *SANITIZERS, str(tmp_path / "nothing.cpp"), "-o", str(tmp_path / "nothing")]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode or subprocess.run([tmp_path / "nothing"], check=False, capture_output=True).returncode:
        pytest.skip("needs the runtime of the address and the undefined-behaviour sanitizer (libasan, libubsan)")
    path = tmp_path / "fuzz"
    command = ["c++", "-O1", "-g1", "-march=native", *PROGRAM_FLAGS, *SANITIZERS, f"-I{compiled.SOURCES}", str(PROGRAM)]
    subprocess.run([*command, "-o", str(path)], check=True)
    return path


def test_every_function_stays_inside_its_arrays_and_refuses_wrong_ids(program: Path) -> None:
    done = subprocess.run([program, "0", str(CALLS)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[:2000]) == (0, "")
    assert int(done.stdout, 16) == compiled.DIGEST


def test_the_fuzzer_knows_every_function() -> None:
    source = PROGRAM.read_text(encoding="utf-8")
    assert [name for name in _SIGNATURES if f"Library<T>::{name}(" not in source] == []
