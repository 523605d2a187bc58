"""Small projects in folders of their own, and stage scripts run there as processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lstm_lm.params import Model, Train

ROOT = Path(__file__).parents[1]
NURSERY = Path(__file__).with_name("nursery.py")
PATIENCE_SECONDS = 60.0
PARAMS: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "numerics": "portable",
    "corpus": {"name": "sample"},
    "tokenize": {
        "level": "char",
        "normalize": "letters",
        "min_freq": 1,
        "train_tokens": 2000,
        "valid_tokens": 300,
        "test_tokens": 300,
    },
    "model": {
        "hidden": 16,
        "layers": 1,
        "embedding": None,
        "dropout": 0.0,
        "tied": False,
        "init_scale": None,
        "scratch_kernel": "fused",
        "init": "book",
    },
    "train": {
        "batch_size": 8,
        "num_steps": 10,
        "epochs": 12,
        "lr": 1.0,
        "clip": 1.0,
        "optimizer": "sgd",
        "schedule": "constant",
        "lr_decay": 0.5,
        "decay_after": 4,
        "keep": "last",
        "valid_every": 10,
        "patience": None,
        "sampling": "sequential",
        "precision": "fp32",
        "checkpoint_seconds": 30,
        "processes": 1,
    },
    "evaluate": {"prefixes": ["the sea", "a"], "length": 5, "temperature": 0.8, "passage": 40},
}


def changed(**changes: object) -> dict[str, Any]:
    """`PARAMS` with some values replaced: train__lr=2 stands for train.lr."""
    params = json.loads(json.dumps(PARAMS))
    for key, value in changes.items():
        *sections, name = key.split("__")
        block = params
        for section in sections:
            block = block[section]
        block[name] = value
    return params


def model_of(**changes: object) -> Model:
    """The section `model` with some values replaced."""
    return Model.model_validate({**PARAMS["model"], **changes})


def train_of(**changes: object) -> Train:
    """The section `train` with some values replaced."""
    return Train.model_validate({**PARAMS["train"], **changes})


@dataclass(frozen=True)
class Result:
    """How a process ended; a negative `status` is the signal that killed it."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """Its only line on stderr besides the progress, of a run that failed as it should."""
        assert self.status == 1, (self.status, self.err)
        lines = [line for line in self.err.splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, self.err
        return lines[0]


class Child:
    """A running stage script."""

    def __init__(self, nursery: "Nursery", pid: int, log: str) -> None:
        self.nursery, self.pid, self.log = nursery, pid, log

    def read(self, ending: str) -> str:
        """What it has written so far to "out" or "err"."""
        return Path(f"{self.log}.{ending}").read_text(encoding="utf-8")

    def wait_for(self, ending: str, text: str) -> None:
        """Wait until `text` stands in its output."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (Path(f"{self.log}.{ending}").exists() and text in self.read(ending)):
            assert time.monotonic() < deadline, f"{text!r} does not come"
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a child that has ended is still there until `wait`, so no other process can be hit."""
        os.kill(self.pid, number)

    def wait(self) -> Result:
        """Wait for its end."""
        status = int(self.nursery.ask({"wait": self.pid}))
        return Result(status, self.read("out"), self.read("err"))


class Nursery:
    """The other side of nursery.py."""

    def __init__(self, folder: Path) -> None:
        # A training's checkpoint belongs to the very code: an edit while the tests run must not change it.
        self.code, self.logs, self.children = folder / "code", folder / "logs", 0
        self.logs.mkdir()
        for name in ("src", "stages"):
            shutil.copytree(ROOT / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        # A child whose files may not grow would leave half of its byte code to the others.
        self.environment = {**os.environ, "PYTHONPATH": str(self.code / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-u", str(NURSERY)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: dict[str, object]) -> str:
        """Send a request, return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def start(self, stage: str, folder: Path, file_limit: int | None = None) -> Child:
        """Start stages/<stage>.py in `folder`; no file of it may grow beyond `file_limit` bytes."""
        self.children += 1
        log = str(self.logs / f"{self.children}-{stage}")
        script = str(self.code / f"stages/{stage}.py")
        pid = self.ask({"script": script, "folder": str(folder), "log": log, "file_limit": file_limit})
        return Child(self, int(pid), log)

    def script(self, stage: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
        """Start `python stages/<stage>.py`, imports and all, with these environment variables."""
        command = [sys.executable, str(self.code / f"stages/{stage}.py")]
        return subprocess.Popen(
            command,
            cwd=folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


class Project:
    """A folder with params.yaml and data/ in which stages run."""

    def __init__(self, root: Path, nursery: Nursery) -> None:
        self.root, self.nursery = root, nursery
        (root / "data/corpora").mkdir(parents=True)
        self.set()

    def set(self, **changes: object) -> None:
        """Write params.yaml: `PARAMS` with some values replaced."""
        text = yaml.safe_dump(changed(**changes), sort_keys=False)
        (self.root / "params.yaml").write_text(text, encoding="utf-8")

    def start(self, stage: str, file_limit: int | None = None) -> Child:
        """Start a stage."""
        return self.nursery.start(stage, self.root, file_limit)

    def run(self, stage: str, file_limit: int | None = None) -> Result:
        """Run a stage to its end."""
        return self.start(stage, file_limit).wait()

    def run_through(self, *stages: str) -> None:
        """Run stages that must succeed."""
        for stage in stages:
            result = self.run(stage)
            assert result.status == 0, result.err

    def copy_of(self, root: Path) -> "Project":
        """A copy of this project in the new folder `root`."""
        copy = Project(root, self.nursery)
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return copy

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
