"""Small projects in folders of their own, in which stages run."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lstm_lm.core.params import Params, Train
from stage_process import StageProcess

ROOT = Path(__file__).parents[1]
GIT = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
"""An identity for git, and none of the user's settings."""


def replaced(params: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A copy of parameters with some values replaced: train__lr=2 stands for train.lr."""
    params = copy.deepcopy(params)
    for key, value in changes.items():
        *sections, name = key.split("__")
        block = params
        for section in sections:
            block = block[section]
        block[name] = value
    return params


PARAMS = replaced(
    yaml.safe_load((ROOT / "tests/params.yaml").read_text("utf-8")),
    device="cpu",
    tokenize__train_tokens=2000,
    tokenize__valid_tokens=300,
    tokenize__test_tokens=300,
    model__hidden=16,
    train__batch_size=8,
    train__num_steps=10,
    train__epochs=12,
    evaluate__prefixes=["the sea", "a"],
    evaluate__length=5,
    evaluate__passage=40,
)
"""tests/params.yaml, made smaller: what the tests' own projects are run with."""


def changed(**changes: object) -> dict[str, Any]:
    """`PARAMS` with some values replaced."""
    return replaced(PARAMS, **changes)


def params_of(*, seed: object = 0, kernel: object = "fused", init: object = "book", **model: object) -> Params:
    """Parameters of a model: `PARAMS` with some values replaced, those of the section `model` by their name alone."""
    sections = {f"model__{name}": value for name, value in model.items()}
    return Params.model_validate(changed(seed=seed, scratch__kernel=kernel, concise__init=init, **sections))


def train_of(**changes: object) -> Train:
    """The section `train` with some values replaced."""
    return Train.model_validate(PARAMS["train"] | changes)


def params_text(**changes: object) -> str:
    """The text of a params.yaml: `PARAMS` with some values replaced."""
    return yaml.safe_dump(changed(**changes), sort_keys=False)


def set_params(folder: Path, **changes: object) -> None:
    """Replace values in the params.yaml of a folder."""
    path = folder / "params.yaml"
    params = replaced(yaml.safe_load(path.read_text("utf-8")), **changes)
    path.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")


def fake_environment(project: Path, python: str, made_in: Path | None = None) -> None:
    """A complete .venv, as `make setup` leaves it, with this shell script for Python."""
    (project / ".venv/bin").mkdir(parents=True)
    place = (made_in or project).resolve()
    (project / ".venv/pyvenv.cfg").write_text(f"command = python -m venv --clear {place}/.venv\n")
    for name in ("bin/activate", "bin/pip", ".packages", ".tools"):
        (project / ".venv" / name).touch()
    (project / ".venv/bin/python").write_text(f'#!/bin/sh\n[ "$3" = "import pip" ] && exit\n{python}\n')
    (project / ".venv/bin/python").chmod(0o755)


class Project:
    """A folder with params.yaml, stages/ and data/ in which stages run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def new(cls, root: Path) -> "Project":
        """A project without a corpus in the new folder `root`."""
        (root / "data/corpora").mkdir(parents=True)
        shutil.copytree(ROOT / "stages", root / "stages")
        project = cls(root)
        project.set()
        return project

    def copy_of(self, root: Path) -> "Project":
        """A copy of this project in the new folder `root`."""
        return Project(shutil.copytree(self.root, root))

    def set(self, **changes: object) -> None:
        """Write params.yaml: `PARAMS` with some values replaced."""
        (self.root / "params.yaml").write_text(params_text(**changes), "utf-8")

    def start(self, stage: str, file_limit: int | None = None) -> StageProcess:
        """Start a stage; no file of it may grow beyond `file_limit` bytes."""
        return StageProcess(stage, self.root, file_limit)

    def run(self, stage: str, file_limit: int | None = None) -> StageProcess:
        """Run a stage to its end."""
        return self.start(stage, file_limit).wait()

    def run_through(self, *stages: str) -> None:
        """Run stages that must succeed."""
        for stage in stages:
            result = self.run(stage)
            assert result.exitcode == 0, result.err

    def script(self, stage: str, **variables: str) -> subprocess.Popen[str]:
        """Start `python stages/<stage>.py`, imports and all, with these environment variables."""
        return subprocess.Popen(
            [sys.executable, f"stages/{stage}.py"],
            cwd=self.root,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def results(self, kind: str) -> dict[str, bytes]:
        """What a training must leave byte for byte, whatever happened on the way."""
        names = [f"data/models/{kind}.safetensors", f"metrics/train_{kind}.json"]
        names += [f"plots/{name}_{kind}.tsv" for name in ("curve", "held_out")]
        return {name: (self.root / name).read_bytes() for name in names}

    def checkpoints(self) -> list[Path]:
        """All checkpoints; a kill in the middle of a write leaves a temporary file beside them."""
        return sorted((self.root / ".checkpoints").glob("*.safetensors"))

    def files(self) -> dict[str, bytes]:
        """Every file and its content."""
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}
