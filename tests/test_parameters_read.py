"""Each stage reads the parameters that dvc.yaml lists for it, and no others.

As a script, in a folder with a corpus: runs all stages and prints what each has read, as JSON.
"""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.flatten import flatten

from lstm_lm.core.params import load_params
from lstm_lm.core.yaml_file import Section
from projects import PARAMS, ROOT
from repository import STAGES

SCRIPTS = {name: stage["cmd"].split()[-1] for name, stage in STAGES.items()}
NO_RESULT = {"checkpoint.seconds"}
"""What no result depends on; a stage that reads it need not run again when it changes."""


class Recorder:
    """A section that remembers which of its parameters were read; whoever takes it as a whole has read all of them."""

    def __init__(self, section: Section, prefix: str, read: set[str]) -> None:
        self._section, self._prefix, self._read = section, prefix, read

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._section, name)
        if isinstance(value, Section):
            return Recorder(value, f"{self._prefix}{name}.", self._read)
        self._read |= {self._prefix + name} if name in type(self._section).model_fields else self._names()
        return value

    def __repr__(self) -> str:
        self._read |= self._names()
        return repr(self._section)

    def _names(self) -> set[str]:
        return {self._prefix + name for name in flatten(self._section.model_dump())}


def record(root: Path) -> dict[str, list[str]]:
    """Stage -> the parameters that it reads."""
    params, found = load_params(root / "params.yaml"), {}
    for stage, script in SCRIPTS.items():
        read: set[str] = set()
        runpy.run_path(str(ROOT / script))["main"](Recorder(params, "", read), root)
        found[stage] = sorted(read)
    return found


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    root = tmp_path_factory.mktemp("read")
    shutil.copytree(ROOT / "data/corpora", root / "data/corpora")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    command = [sys.executable, __file__, str(root)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_dvc_yaml_lists_for_it(stage: str, read: dict[str, list[str]]) -> None:
    listed = [entry for entry in STAGES[stage]["params"] if isinstance(entry, str)]
    expected = {name for name in flatten(PARAMS) for entry in listed if name == entry or name.startswith(f"{entry}.")}
    assert set(read[stage]) - NO_RESULT == expected


def test_an_old_name_leads_to_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(PARAMS | {"model": PARAMS["model"] | {"scratch_kernel": "book"}}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"params.yaml: model.scratch_kernel is now scratch.kernel$"):
        load_params(path)


if __name__ == "__main__":
    print(json.dumps(record(Path(sys.argv[1]))))
