"""What DVC says about the results here and at another revision."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lstm_lm.params import load_params

Row = dict[str, Any]

CURVES = ("train_perplexity", "held_out_perplexity", "tokens_per_second")
"""Names of plots in dvc.yaml."""


class Change(NamedTuple):
    """One value at the base revision and here; None where there is none."""

    old: Any
    new: Any


class Difference(NamedTuple):
    """Metrics and parameters, changed or not, under DVC's names; the rows that DVC plots.

    `base` is None where there is no git, hence nothing to compare with. `outdated` names the stages that
    `dvc repro` would run. In `curves` every value is a string, `rev` is "workspace" or the base, `filename`
    tells the model.
    """

    base: str | None
    metrics: dict[str, dict[str, Change]]
    params: dict[str, Change]
    curves: list[Row]
    outdated: list[str]

    def metric(self, path: str, key: str) -> Change:
        """One metric, such as metrics/evaluate.json and scratch.valid.perplexity."""
        return self.metrics.get(path, {}).get(key, Change(None, None))

    def curve(self, model: str, column: str, at_base: bool) -> dict[int, float]:
        """A column's value in each epoch that has one."""
        return {
            int(row["epoch"]): float(row[column])
            for row in self.curves
            if column in row and (row["rev"] != "workspace") == at_base and row["filename"].endswith(f"_{model}.tsv")
        }


def difference(base: str, root: Path) -> Difference:
    """Compare the results in `root` with those of a revision; without git, tell only what is here.

    Raises:
        ValueError: DVC does not know the revision or cannot read the project.
    """
    git = any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))
    if git:
        metrics = json.loads(dvc(root, "metrics", "diff", "--all", "--json", "--", base))
        params = json.loads(dvc(root, "params", "diff", "--all", "--json", "--", base)).get("params.yaml", {})
    else:
        shown = json.loads(dvc(root, "metrics", "show", "--json"))[""].get("data", {})
        metrics = {path: _as_new(file.get("data", {})) for path, file in shown.items()}
        params = _as_new(load_params(root / "params.yaml").model_dump(mode="json"))
    plots = _curves(root, base if git else None)
    return Difference(
        base if git else None,
        {path: _changes(values) for path, values in metrics.items()},
        _changes(params),
        [row for plot in CURVES for shown in plots.get(plot, []) for row in shown["content"]["data"]["values"]],
        outdated(root),
    )


def base_argument() -> str:
    """The revision that a command of this package got as its only argument."""
    return next(iter(sys.argv[1:]), "") or "HEAD"


def dvc(root: Path, *arguments: str) -> str:
    """What `dvc <arguments>` prints.

    Raises:
        ValueError: it failed; the message is DVC's own.
    """
    done = _run(root, *arguments)
    if done.returncode != 0:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise ValueError(f"dvc {' '.join(arguments[:2])} failed: {next(iter(errors), 'no reason given')}")
    return done.stdout


def outdated(root: Path) -> list[str]:
    """The stages that `dvc repro` would run; data that are not here count as what dvc.lock says they were."""
    done = _run(root, "repro", "--dry", "--allow-missing")
    stages = re.findall(r"^Running stage '(.+)':", done.stdout, flags=re.MULTILINE)
    # Where a stage would run, DVC may stop at the data that it would have made.
    return stages or (["some stages"] if done.returncode != 0 else [])


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings under DVC's names: `model.hidden`."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """DVC in a process of its own, with this Python, without a shell."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _as_new(values: Mapping[str, Any]) -> dict[str, Row]:
    return {key: {"new": value} for key, value in flat(values)}


def _changes(values: Mapping[str, Row]) -> dict[str, Change]:
    return {key: Change(value.get("old"), value.get("new")) for key, value in sorted(values.items())}


def _curves(root: Path, base: str | None) -> Row:
    """What DVC draws from several files; pictures that it writes as well are not wanted."""
    action, revisions = ("show", ()) if base is None else ("diff", ("--targets", *CURVES, "--", base))
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(dvc(root, "plots", action, "--json", "--out", folder, *revisions)).get("data", {})
