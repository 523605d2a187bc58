"""The C++ arithmetic as a library: its build and cache, its fallback, and the same bytes whoever compiles it."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lstm_lm.core.processor import Processor, processor
from lstm_lm.model import compiled
from lstm_lm.model.compiled import DIGEST, library
from lstm_lm.model.lstm_fused import FusedLayer
from lstm_lm.model.native_backend import NATIVE, computes
from lstms import FUSED, SHAPES, assert_same, build, everything, random_state, random_tokens, textbook_weights
from machines import PROGRAM_FLAGS, needs_avx2, needs_compiler

needs_clang = pytest.mark.skipif(shutil.which("clang++") is None, reason="needs clang")
CPU = torch.device("cpu")
PROGRAM = Path(__file__).with_name("digest.cpp")
PRETEND = 'for made; do :; done; echo "$*" > "$made"'
"""A script that only writes how it was called, to the file that it is asked to make, which the last argument names."""


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing cached, on disk or in the process, before and after; the folder of the cache."""
    monkeypatch.setattr(compiled, "CACHE", tmp_path / "cache")
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
    monkeypatch.setenv("CXX", compiler_that(tmp_path, f'echo called >> "{log}"; exec c++ "$@" -O0'))
    assert computes(CPU)
    assert compiled.compiler() != ""
    calls = log.read_text(encoding="utf-8")
    library.cache_clear()
    assert library() is not None
    assert log.read_text(encoding="utf-8") == calls
    assert [path.suffix for path in anew.rglob("*") if path.is_file()] == [".so"]


@needs_compiler
def test_a_damaged_library_is_made_again(
    anew: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", compiler_that(tmp_path, 'exec c++ "$@" -O0'))
    monkeypatch.setattr(compiled, "build", functools.cache(compiled.build))  # to make it again takes seconds
    assert library() is not None
    (path,) = anew.glob("*.so")
    whole = path.read_bytes()
    for kept in (0.5, 0.99):
        path.unlink()  # another file under its name: the library in use stays what it is
        length = int(kept * len(whole))
        path.write_bytes(whole[:length] + bytes(len(whole) - length))
        library.cache_clear()
        assert library() is not None
        assert path.read_bytes() == whole
    assert capsys.readouterr().err == ""


def test_the_compiler_may_have_arguments_before_and_behind_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending = compiler_that(tmp_path, f'test "$LANG" = C && {PRETEND}')
    monkeypatch.setenv("CXX", f"env LANG=C {pretending} -O2")
    assert compiled.build().startswith(b"-O2 -std=c++17 ")


@pytest.mark.parametrize(
    ("unknown", "used"),
    [
        ("-march=native", b" -shared -mcpu=native -fopenmp-simd /"),
        ("-m*=native", b" -shared -fopenmp-simd /"),
        ("-march=native|-mcpu=native|-fopenmp-simd", b" -shared /"),
    ],
)
def test_a_compiler_need_not_know_the_flags_for_speed(
    unknown: str, used: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = f'for flag; do case "$flag" in {unknown}) echo "error: unknown $flag" >&2; exit 1;; esac; done'
    monkeypatch.setenv("CXX", compiler_that(tmp_path, f"{refuse}; {PRETEND}"))
    assert used in compiled.build()


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_no_flag_takes_back_what_another_gave(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")

    def said(*options: str) -> str:
        command = [compiler, *compiled.FLAGS, *options, "-x", "c++", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert "__OPTIMIZE__" in said("-dM", "-E")
    assert "__NO_MATH_ERRNO__" in said("-dM", "-E"), "a square root is no function call"
    assert '"-ffp-exception-behavior=strict"' not in said("-###", "-c"), "clang before 19 would make no vectors"


@needs_compiler
@pytest.mark.usefixtures("anew")
def test_the_user_s_flags_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = "-g -Ofast -ffast-math -funsafe-math-optimizations -march=nocona -ffp-contract=fast"
    monkeypatch.setenv("CXXFLAGS", flags)
    loaded = library()
    assert loaded is not None
    assert loaded.digest(1) == DIGEST
    assert sys.float_info.min / 2 > 0, "the process takes subnormal numbers for zero"


@needs_compiler
@pytest.mark.usefixtures("anew")
def test_a_compiler_that_computes_other_numbers_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not -ffast-math: its start code would flush denormals to zero in the process of these tests.
    monkeypatch.setenv("CXX", compiler_that(tmp_path, 'exec c++ "$@" -O2 -ffp-contract=fast'))
    assert library() is None
    assert "this compiler's code computes other numbers (digest " in capsys.readouterr().err


def test_a_compiler_may_speak_any_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler_that(tmp_path, rf'printf "cr\351ation\n" >&2; {PRETEND}'))
    assert compiled.build() != b""


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "no C++ compiler '/nowhere/c++'; install one or set CXX"),
        ("echo 'In file included from here:' >&2; echo 'x.cpp:1: error: no such thing' >&2; exit 1", "error: no such"),
        (r"printf 'x.cpp:1: error: cr\351ation\n' >&2; exit 1", "error: cr\ufffdation"),
        ('for last; do :; done; while [ "$1" != -o ]; do shift; done; echo garbage > "$2"', "file too short"),
        ("exit 0", "No such file"),
    ],
    ids=["none", "refuses", "refuses in Latin-1", "garbage", "makes nothing"],
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
    assert not computes(CPU)
    actual, expected = (everything(build(kernel, weights), tokens, state) for kernel in FUSED)
    assert_same(actual, expected, rtol=0, atol=0)
    message = capsys.readouterr().err
    assert message.startswith("no loops in C++, computing with those in PyTorch: ")
    assert message.count("\n") == 1
    assert reason in message


@pytest.mark.usefixtures("anew")
def test_quotation_marks_that_do_not_match_are_no_compiler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", 'g++ "')
    assert library() is None
    assert "No closing quotation" in capsys.readouterr().err


@pytest.mark.usefixtures("anew")
def test_nothing_is_compiled_where_it_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    FusedLayer(5, 3, NATIVE)
    assert not computes(torch.device("cuda"))
    assert capsys.readouterr().err == ""


def test_another_processor_has_a_library_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before, name = compiled._key(), processor().name
    monkeypatch.setattr(compiled, "processor", lambda: Processor(name, frozenset({"another"})))
    assert compiled._key() != before


@needs_clang
def test_clang_s_library_computes_what_gcc_s_does(anew: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, results = SHAPES[2], []
    weights = textbook_weights(shape, torch.float32)
    for compiler in (compiler_that(tmp_path, 'exec g++ "$@" -O1'), "clang++"):
        monkeypatch.setenv("CXX", compiler)
        library.cache_clear()
        if library() is None:
            pytest.skip(f"{compiler} cannot make the library here")
        results.append(everything(build("fused", weights), random_tokens(shape), random_state(shape, torch.float32)))
    assert len(list(anew.glob("*.so"))) == 2
    assert_same(results[1], results[0], rtol=0, atol=0)


def digests(tmp_path: Path, command: list[str], *runs: list[str], runner: tuple[str, ...] = ()) -> set[int]:
    """The digests of code made by `command`, in runs with a thread for each word and one more."""
    program = tmp_path / "digest"
    subprocess.run([*command, *PROGRAM_FLAGS, f"-I{compiled.SOURCES}", str(PROGRAM), "-o", str(program)], check=True)
    return {int(subprocess.check_output([*runner, str(program), *words], text=True), 16) for words in runs}


WIDTHS = {"-march=x86-64-v3": {"avx2", "fma"}, "-march=x86-64-v4": {"avx512f", "avx512vl"}}
MADE_BY = [
    ("g++", "-O2", "-march=x86-64-v3"),
    ("g++", "-O3", "-march=x86-64-v4"),
    ("clang++", "-O2", "-march=x86-64-v4"),
    ("clang++", "-O3", "-march=x86-64-v3"),
]
"""Every two of a compiler, an optimisation and a width together."""


@needs_avx2
@pytest.mark.parametrize(("compiler", "optimisation", "width"), MADE_BY)
def test_any_compiler_optimisation_and_width_gives_the_same_bytes(
    compiler: str, optimisation: str, width: str, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    if not WIDTHS[width] <= processor().instructions:
        pytest.skip(f"this processor cannot run {width}")
    assert digests(tmp_path, [compiler, optimisation, width], [], ["2", "3"]) == {DIGEST}


def test_another_architecture_gives_the_same_bytes(tmp_path: Path) -> None:
    compiler, emulator = "aarch64-linux-gnu-g++", "qemu-aarch64"
    if not (shutil.which(compiler) and shutil.which(emulator)):
        pytest.skip(f"needs {compiler} and {emulator}")
    command = [compiler, "-O3", "-static"]
    assert digests(tmp_path, command, ["2", "3"], runner=(emulator,)) == {DIGEST}


@needs_compiler
def test_the_check_with_two_threads_starts_one_more() -> None:
    code = """
import psutil
from lstm_lm.model import compiled
before = psutil.Process().num_threads()
compiled.library()  # checks itself with two threads
print(psutil.Process().num_threads() - before)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_what_programs_leave_beside_the_sources_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(compiled.SOURCES, tmp_path / "native")
    monkeypatch.setattr(compiled, "SOURCES", tmp_path / "native")
    before = compiled._key()
    (tmp_path / "native/.library.cpp.swp").write_bytes(b"\xff")
    (tmp_path / "native/.#team.h").symlink_to("nowhere")
    (tmp_path / "native/.cache").mkdir()
    assert compiled._key() == before
    keys = {before}
    for name in ("more.h", "more.cpp"):
        (tmp_path / "native" / name).touch()
        keys.add(compiled._key())
    monkeypatch.setenv("CXXFLAGS", "-g")
    assert len(keys | {compiled._key()}) == 4
