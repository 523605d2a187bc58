"""Several processes work on one sequence, in its order, and none of them outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lstm_lm.tokens import cores


def square(number: int) -> int:
    return number**2


def test_all_cores_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "ALONE", 3)
    monkeypatch.setattr(cores, "_cores", lambda: 2)
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for number in range(40):
            ahead.append(number)
            yield number

    for done, found in enumerate(cores.in_order(square, items())):
        assert found == done**2
        assert len(ahead) - done <= 2 + 3
    assert len(ahead) == 40


def kill_itself(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "ALONE", 3)
    monkeypatch.setattr(cores, "_cores", lambda: 2)
    with pytest.raises(ValueError, match=r"^one of the processes was killed; is there enough memory\?$"):
        list(cores.in_order(kill_itself, range(20)))


ENDLESS = """
import itertools, multiprocessing, signal
from lstm_lm.tokens import cores
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
cores.ALONE, cores._cores = 1, lambda: 2
if __name__ == "__main__":
    for number, _ in enumerate(cores.in_order(abs, itertools.count())):
        if number == 10:
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    command = [sys.executable, str(tmp_path / "endless.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        children = [int(pid) for pid in process.stdout.readline().split()]
        assert len(children) == 2
        process.send_signal(number)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
        assert process.stderr.read().count("Traceback") == (number == signal.SIGINT)  # the parent's own
