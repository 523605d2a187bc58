"""A file is the old one or the whole new one, whatever happens in between."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_lm.core.atomic import replacing, write_bytes, write_json, write_text
from projects import Project

OLD = b"old"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "results/file.json"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def in_a_process(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, `path` being its only argument."""
    code = f"import sys; from pathlib import Path; path = Path(sys.argv[1])\n{code}"
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_new_file_takes_the_old_ones_place(path: Path) -> None:
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_the_bytes_reach_the_disk_before_they_get_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = []
    monkeypatch.setattr(os, "fsync", lambda _: named.append(path.read_bytes()))
    write_bytes(path, b"new")
    assert named == [OLD]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b/c.txt", "line\r\nä\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "line\r\nä\n".encode()


def test_a_result_is_an_ordinary_file(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_on_the_way_leaves_the_old_file(error: type[BaseException], path: Path) -> None:
    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_a_crash_leaves_the_old_file(path: Path) -> None:
    code = """
import os, signal
from lstm_lm.core.atomic import replacing
with replacing(path) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert in_a_process(code, path).returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("content", [b"x" * 5000, b"x" * 5_000_000])
def test_a_full_disk_leaves_the_old_file_and_says_so(content: bytes, path: Path) -> None:
    code = f"""
import resource
from lstm_lm.core.atomic import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(path, b"x" * {len(content)})
except OSError as error:
    print(error)
"""
    assert in_a_process(code, path).stdout == f"cannot write {path}: File too large\n"
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_with_an_error_without_a_code(path: Path) -> None:
    code = """
import resource
import numpy
from lstm_lm.core.atomic import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replacing(path) as file:
        numpy.save(file, numpy.zeros(10_000))
except OSError as error:
    print(error)
"""
    assert in_a_process(code, path).stdout.startswith(f"cannot write {path}: 10000 requested")
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("stage", ["fetch", "tokenize_corpus", "train_concise", "train_scratch"])
def test_a_full_disk_stops_a_stage_with_one_line(stage: str, small_project: Project) -> None:
    small_project.set(train__epochs=1)
    before = small_project.files()
    complaint = small_project.run(stage, file_limit=300).complaint
    assert complaint.startswith(f"{stage}: cannot write data/")
    assert complaint.endswith(": File too large")
    kind = stage.removeprefix("train_")
    curves = {f"plots/{name}_{kind}.tsv" for name in ("curve", "held_out", "timing")} if kind != stage else set()
    after = small_project.files()
    assert {name: after.pop(name).count(b"\n") for name in curves} == dict.fromkeys(curves, 2)  # of the one epoch
    assert after == before


def test_of_files_that_are_written_together_the_one_that_fails_is_named(path: Path) -> None:
    with pytest.raises(OSError, match=rf"^cannot write {path}/below: "), replacing(path), replacing(path / "below"):
        pass
    assert path.read_bytes() == OLD


def test_a_place_that_cannot_be_written_is_named(path: Path) -> None:
    with pytest.raises(OSError, match=rf"^cannot write {path}/below\.json: "):
        write_json(path / "below.json", {})


def test_a_folder_in_the_files_place_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"^cannot write .*folder: Is a directory$"):
        write_bytes(tmp_path / "folder", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_json_is_indented_and_in_order(path: Path) -> None:
    content = {"z": 1.5, "a": ["ä", None]}
    write_json(path, content)
    assert path.read_bytes() == '{\n  "z": 1.5,\n  "a": [\n    "ä",\n    null\n  ]\n}\n'.encode()
    assert json.loads(path.read_bytes()) == content


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_holds_no_nan(number: float, path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^cannot write {path}: a number in it is not finite$"):
        write_json(path, {"scores": [1.0, number]})
    assert path.read_bytes() == OLD
