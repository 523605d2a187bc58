"""Small projects in folders of their own."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from lstm_lm.core.params import Params, Train
from nursery import Child, Nursery, Result

ROOT = Path(__file__).parents[1]
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
    },
    "scratch": {"kernel": "fused"},
    "concise": {"init": "book"},
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
        "processes": 1,
    },
    "checkpoint": {"seconds": 30},
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


def params_of(*, seed: object = 0, kernel: object = "fused", init: object = "book", **model: object) -> Params:
    """Parameters of a model: `PARAMS` with some values replaced, those of the section `model` by their name alone."""
    sections = {"scratch": {"kernel": kernel}, "concise": {"init": init}, "model": {**PARAMS["model"], **model}}
    return Params.model_validate({**PARAMS, "seed": seed, **sections})


def train_of(**changes: object) -> Train:
    """The section `train` with some values replaced."""
    return Train.model_validate({**PARAMS["train"], **changes})


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
