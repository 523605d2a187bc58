"""The wheels for a GPU machine without a network."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import wheels

BROUGHT = {Requirement(package).name for package in wheels.PACKAGES}


class Pip:
    """Stands in for pip: writes a wheel of 3 MiB for each package that it is asked for, or fails."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def __call__(self, command: list[str], **_options: bool) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        for name in BROUGHT & {word.split("==")[0] for word in command}:
            (folder / f"{name}.whl").write_bytes(bytes(3 * 2**20))
        return subprocess.CompletedProcess(command, self.status)


def test_it_says_what_it_brings_and_how_large_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/of_an_earlier_time.whl").touch()
    monkeypatch.setattr(subprocess, "run", Pip())
    monkeypatch.setattr(sys, "argv", ["wheels"])
    monkeypatch.setattr(wheels, "FOLDER", tmp_path / "wheels")
    wheels.main()
    names = sorted(BROUGHT, key=lambda name: f"{name}.whl")
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(BROUGHT)] == [f"  3.0 MiB  {name}.whl" for name in names]
    assert lines[len(BROUGHT)] == f"{3 * len(BROUGHT):5.1f} MiB  in {tmp_path / 'wheels'}"


def test_a_pip_that_fails_is_one_line_and_keeps_earlier_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_an_earlier_time.whl").touch()
    monkeypatch.setattr(subprocess, "run", Pip(status=1))
    with pytest.raises(ValueError, match=r"^pip cannot download pydantic, "):
        wheels.bring(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["of_an_earlier_time.whl"]


def test_what_is_brought_needs_nothing_else() -> None:
    for name in BROUGHT - {"flashrnn"}:
        wanted = map(Requirement, metadata.requires(name) or [])
        needed = {one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}
        assert needed <= BROUGHT
