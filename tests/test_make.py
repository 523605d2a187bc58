"""What make does before it calls the project: install from the lock, into the project's own environment."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from projects import ROOT, fake_environment
from tools import torch_build


def pack(folder: Path, name: str, version: str, files: dict[str, bytes]) -> str:
    """Write a wheel into `folder`; its entry in constraints.txt."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def new(folder: Path, name: str, *modules: str, version: str = "1.0") -> str:
    """Pack a package of empty modules."""
    own = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    files = {f"{name}-{version}.dist-info/{file}": text.encode() for file, text in own.items()}
    return pack(folder, name, version, files | dict.fromkeys(modules, b""))


def installed(folder: Path, name: str) -> str:
    """Pack a package that the tests' own environment has."""
    found = metadata.distribution(name)
    files = [file for file in found.files or [] if file.suffix != ".pyc" and not str(file).startswith("..")]
    return pack(folder, name, found.version, {str(file): file.read_binary() for file in files})


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The Makefile with small packages that pip finds in a folder. A pip.conf asks for user installs."""
    wheels, project = tmp_path / "wheels", tmp_path / "a project"
    wheels.mkdir()
    (project / "tools").mkdir(parents=True)
    for name in ("Makefile", "tools/__init__.py", "tools/torch_build.py"):
        shutil.copy2(ROOT / name, project / name)
    locked = [
        installed(wheels, "pip"),
        installed(wheels, "setuptools"),
        new(wheels, "torch", "torch.py", version="1.0+cpu").replace("+cpu", ""),
        new(wheels, "dvc", "dvc/__init__.py", "dvc/cli/__init__.py", "dvc/cli/parser.py"),
        new(wheels, "tool", "tool.py"),
    ]
    (project / "constraints.txt").write_text("".join(locked))
    (project / "requirements.txt").write_text("setuptools\ntorch==1.0\ndvc==1.0\n")
    (project / "requirements-dev.txt").write_text("-r requirements.txt\ntool==1.0\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "bare"\nversion = "1"\n[tool.setuptools]\npackages = []\n'
    )
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\n")
    return project


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with the pip.conf and the wheels of `bare`."""
    place = {"PIP_CONFIG_FILE": str(project.parent / "pip.conf"), "PIP_FIND_LINKS": str(project.parent / "wheels")}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=project,
        env=outside | place | {"PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_files_with_the_hashes_of_the_lock_are_installed(bare: Path) -> None:
    done = make(bare, "setup")
    assert done.returncode == 0, done.stderr
    packages = next((bare / ".venv/lib").glob("python*/site-packages"))
    assert (packages / "torch.py").exists()
    lock, tool = bare / "constraints.txt", packages / "tool.py"
    whole = lock.read_text()
    lock.write_text(re.sub(r"(tool==1.0 .*\n.*sha256:)\w+", rf"\g<1>{'0' * 64}", whole))
    done = make(bare, "tools")
    assert (done.returncode, tool.exists()) == (2, False)
    assert "DO NOT MATCH THE HASHES" in done.stderr
    lock.write_text(whole)
    done = make(bare, "tools")
    assert (done.returncode, tool.exists()) == (0, True), done.stderr


def test_another_torch_is_refused_unless_its_build_is_unknown(tmp_path: Path) -> None:
    build = {name: tmp_path / f"torch-2.13.0{name}-cp311-cp311-linux_x86_64.whl" for name in ("", "+cpu", "+cu126")}
    for path in build.values():
        path.write_bytes(path.name.encode())
    hashes = [hashlib.sha256(build[name].read_bytes()).hexdigest() for name in ("", "+cpu")]
    lock = "torch==2.13.0 ; python_version < '4' \\\n" + " \\\n".join(f"    --hash=sha256:{found}" for found in hashes)
    lock += f"\ntqdm==1 \\\n    --hash=sha256:{'0' * 64}\n"
    assert torch_build.locked(lock) == ("2.13.0", set(hashes))
    assert [torch_build.check(build[name], set(hashes)) for name in ("", "+cpu")] == ["", ""]
    for name in ("", "+cpu"):
        with pytest.raises(ValueError, match="not in constraints"):
            torch_build.check(build[name], {"0" * 64})
    unknown = torch_build.check(build["+cu126"], set(hashes))
    assert unknown.startswith("torch: constraints.txt has no hashes of the build cu126")


@pytest.mark.parametrize("moved", [False, True])
def test_an_environment_that_was_copied_or_moved_is_renewed(moved: bool, bare: Path) -> None:
    fake_environment(bare, "", bare.parent / "original" if moved else bare)
    planned = make(bare, "--dry-run", "setup")
    assert planned.returncode == 0, planned.stderr
    assert ("venv --clear .venv" in planned.stdout) == moved
    assert (" -r requirements.txt" in planned.stdout) == moved


@pytest.mark.parametrize("gone", [False, True])
def test_an_environment_whose_python_has_changed_or_gone_is_renewed(gone: bool, bare: Path) -> None:
    fake_environment(bare, "")
    python = bare / ".venv/bin/python"
    if gone:
        python.unlink()
    else:
        python.write_text("#!/bin/sh\nexit 1\n")  # it finds no pip
    assert "venv --clear .venv" in make(bare, "--dry-run", "setup").stdout


@pytest.mark.parametrize("content", [None, "version_info = 3.12.1.final.0\n"])  # of conda, of virtualenv
def test_an_environment_that_make_has_not_made_is_left_alone(content: str | None, bare: Path) -> None:
    fake_environment(bare, "exit 1")
    configuration = bare / ".venv/pyvenv.cfg"
    configuration.unlink()
    if content:
        configuration.write_text(content)
    python = bare / ".venv/bin/python"
    for gone in (False, True):
        if gone:
            python.unlink()
            python.symlink_to("gone")
        done = make(bare, "setup")
        assert done.returncode == 2
        assert done.stderr.startswith(".venv was not made by make: move it away, then make it again\n")
        assert python.is_symlink() == gone
        assert (bare / ".venv/bin/pip").exists()


@pytest.mark.parametrize("content", ["another project's package", None])
def test_nothing_behind_a_linked_environment_is_removed(bare: Path, content: str | None) -> None:
    other = bare.parent / "other"
    if content:
        (other / "bin").mkdir(parents=True)
        (other / "bin/pip").write_text(content)
        (other / "pyvenv.cfg").write_text("command = python -m venv /elsewhere/.venv\n")
    (bare / ".venv").symlink_to(other)
    done = make(bare, "setup")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f".venv is a link to {other}, which would be emptied: remove the link, then make it again"
    )
    assert other.exists() == (content is not None)
    assert content is None or (other / "bin/pip").read_text() == content


def test_an_environment_that_was_moved_away_and_linked_is_used(bare: Path) -> None:
    fake_environment(bare, "echo ran")
    (bare / ".venv").rename(bare.parent / "larger disk")
    (bare / ".venv").symlink_to(bare.parent / "larger disk")
    done = make(bare, "current")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


def test_what_a_command_is_about_comes_from_its_own_line(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FILE", "VALIDATION", "TEST", "NAME", "UPDATE"):
        monkeypatch.setenv(name, "of the shell")
    fake_environment(bare, 'shift 2; echo "<$@>"')
    assert make(bare, "recipe", "verify", "corpus", "small").stdout == "<>\n<>\n<  >\n<>\n"
    assert make(bare, "recipe", "verify", "NAME=book").stdout == "<book>\n<book>\n"
    assert make(bare, "corpus", "FILE=a", "VALIDATION=b", "TEST=c").stdout == "<a b c>\n"
    assert make(bare, "small", "UPDATE=1").stdout == "<--update>\n"
    assert make(bare, "small", "UPDATE=0").stdout == "<>\n"


def test_the_base_of_a_report_comes_from_the_shell_too(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_environment(bare, 'shift 2; echo "<$@>"')
    monkeypatch.setenv("BASE", "origin/main")
    assert make(bare, "report", "experiments", "sweep-report").stdout == "<origin/main>\n" * 3


def test_targets_run_one_after_the_other(bare: Path) -> None:
    fake_environment(bare, 'echo "begins $2" >> log; sleep 0.2; echo "ends $2" >> log')
    done = make(bare, "-j8", "run", "report", "current")
    assert done.returncode == 0, done.stderr
    modules = ["tools.quickstart", "dvc", "tools.summary", "tools.report", "tools.checks.current"]
    assert (bare / "log").read_text().splitlines() == [f"{did} {m}" for m in modules for did in ("begins", "ends")]


def test_a_user_id_without_a_name_gets_one(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    code = "import getpass, pwd; del pwd.getpwuid; print('user', getpass.getuser())"
    fake_environment(bare, f'exec "{sys.executable}" -c "{code}"')
    done = make(bare, "current")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"user \S+\n", done.stdout)
