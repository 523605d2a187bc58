"""`make gpu`, rehearsed on the CPU: every part runs, and what it leaves can be read."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.gpu import PARTS, main, make_plan
from benchmarks.gpu_plan import NO_TIME, Plan, attempt, time_limit
from projects import ROOT
from tools.docs import gpu as tables_of_gpu

FLASHRNN = """
import torch

def flashrnn(Wx, R, b, states, function, backend):
    assert (function, backend) == ("lstm", "vanilla")
    B, T, G, N, D = Wx.shape
    h, c = states
    outputs = []
    for t in range(T):
        recurrent = torch.einsum("bnd,gnpd->bgnp", h[:, 0], R)
        i, f, z, o = (Wx[:, t] + recurrent + b).unbind(1)
        c = f.sigmoid() * c[:, 0] + i.sigmoid() * z.tanh()
        h, c = (o.sigmoid() * c.tanh())[:, None], c[:, None]
        outputs.append(torch.stack([h, c])[:, :, 0])
    return torch.stack(outputs, dim=2), torch.stack([h, c])
"""
"""A package of the same interface: inputs (batch, time, gate, head, unit), states (2, batch, time, head, unit)."""


STAGES_IMPORT = (
    *("charset-normalizer", "matplotlib", "numpy", "pandas", "polars", "pydantic", "pyyaml", "regex"),
    *("requests", "safetensors", "torch", "tqdm"),
)
"""The packages that `make gpu` needs, beside pytest."""

HIDE = """
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {modules!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""
"""A sitecustomize, which every Python process runs first."""


def needed(packages: Iterable[str]) -> set[str]:
    """The packages and all that they need."""
    found, names = set(), list(packages)
    while names:
        name = canonicalize_name(names.pop())
        if name not in found:
            found.add(name)
            wanted = map(Requirement, metadata.requires(name) or [])
            names += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def hidden() -> set[str]:
    """The installed modules of all other packages but this project's own."""
    kept = needed([*STAGES_IMPORT, "pytest"])
    modules = metadata.packages_distributions().items()
    found = {module for module, packages in modules if kept.isdisjoint(map(canonicalize_name, packages))}
    return found - {"lstm_lm"}


def small() -> Plan:
    return make_plan("cpu", small=True, minutes=1)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole rehearsal, without the packages that a GPU machine may not have."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "flashrnn.py").write_text(FLASHRNN)
    modules = hidden()
    assert {"dvc", "boto3", "selenium", "psutil", "xdist"} <= modules
    (folder / "sitecustomize.py").write_text(HIDE.format(modules=modules))
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small", "--out", str(folder)]
    # pytest's plugins are among what is hidden.
    variables = {"PYTHONPATH": os.pathsep.join([str(folder), "src"]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics/benchmark_gpu.json").read_text())


def test_every_part_measures(rehearsed: Path) -> None:
    found = report(rehearsed)
    assert found.keys() >= PARTS.keys()
    assert " skipped in " in found["tests"]
    assert all(len(run["sha256"]) == 64 for run in found["trainings"].values())
    assert found["graph"]["graph_over_eager"].keys() == {"fused", "nn.LSTM"}
    assert found["precisions"]["fp32"].keys() == {"fused", "nn.LSTM"}
    assert found["precisions"]["tf32"].startswith("not on this device: train.precision is 'tf32'")
    assert found["words"]["ptb_tiny"].keys() == {"fused", "nn.LSTM"}
    assert all(run["valid_perplexity"] > 1 for run in found["recipes"]["ptb_tiny"].values())
    assert found["grid"]["missing"] == found["flashrnn"]["missing"] == {}
    assert {(row["hidden"], row["batch_size"]) for row in found["flashrnn"]["rows"]} == {
        (8, 4),
        (8, 2),
        (16, 4),
        (16, 2),
    }
    assert "fused over nn.LSTM, both in the pipeline" in found["ratios"]
    assert (rehearsed / "plots/benchmark_gpu.png").read_bytes().startswith(b"\x89PNG")


def test_the_docs_show_what_was_measured(rehearsed: Path) -> None:
    shown, found = tables_of_gpu.tables(rehearsed), report(rehearsed)
    assert "| fused in PyTorch, pipeline " in shown
    assert "](../plots/benchmark_gpu.png)" in shown
    assert f"both runs give the SHA-256 `{found['trainings']['scratch']['sha256']}`" in shown
    assert f"- fused over book: {found['ratios']['fused over book']:.2f}" in shown
    assert "- precisions: fp32, `fused` " in shown
    assert "- flashrnn: hidden 8, batch 4, flashrnn alone, bf16, " in shown


def test_without_time_all_parts_are_skipped_and_the_docs_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--small", "--minutes", "0", "--out", str(tmp_path)])
    main()
    assert {report(tmp_path)[name] for name in PARTS} == {"skipped: no time left"}
    assert tables_of_gpu.tables(tmp_path).count("skipped: no time left") == len(PARTS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_without_a_gpu_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == "gpu: device is cuda, which this machine does not have; allowed here: auto, cpu"
    assert not list(tmp_path.iterdir())


def test_a_part_that_fails_says_why_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_plan: Plan) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nAdvice")

    def without(_plan: Plan) -> None:
        raise OSError("CUDA_HOME environment variable is not set.")

    assert attempt(failing, small()) == "failed: CUDA out of memory."
    assert attempt(without, small()) == "failed: CUDA_HOME environment variable is not set."
    cells = iter([True, False, False, False])
    monkeypatch.setattr("benchmarks.gpu_speeds._cell", lambda *of: failing(of[-1]) if next(cells) else [1])
    found = PARTS["grid"](small())
    assert found["missing"] == {"hidden 8, batch 4": "failed: CUDA out of memory."}
    assert len(found["rows"]) == 3


def test_two_trainings_that_differ_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter("abcd")
    monkeypatch.setattr("benchmarks.gpu_runs._trained", lambda *_of: {"sha256": next(digests)})
    assert attempt(PARTS["trainings"], small()) == "failed: two trainings of scratch gave a and b"


def test_a_part_that_takes_too_long_is_stopped_inside_too() -> None:
    assert attempt(PARTS["tests"], replace(small(), deadline=time.monotonic() + 0.5)) == NO_TIME
    with time_limit(0.2):
        assert attempt(lambda _plan: time.sleep(60), small()) == NO_TIME
