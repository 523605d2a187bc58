"""The results here beside those of another revision."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from dvc.api import DVCFileSystem, params_show
from dvc.exceptions import DvcException
from dvc.utils.flatten import flatten

from lstm_lm.comparison.measures import LABELS, Measure, with_few_tokens
from lstm_lm.comparison.metrics import MEASURED
from lstm_lm.core.json_file import check_keys, parse_json
from tools.checks.current import outdated
from tools.project import Busy, git, has_git, repository, resolve


class Change(NamedTuple):
    """One value at the base revision and here; None where there is none."""

    old: Any
    new: Any


Changes = dict[str, Change]


class Difference(NamedTuple):
    """Metrics and parameters under DVC's names, and the columns of each model's curves, changed or not.

    `base` is None where nothing can be compared; `no_base` says why. A column is its value in each epoch that has one.
    `outdated` names the stages that `dvc repro` would run; it is None while another DVC runs, since DVC cannot tell.
    """

    base: str | None
    metrics: dict[str, Changes]
    params: Changes
    curves: dict[str, Changes]
    outdated: list[str] | None
    no_base: str = ""

    def metric(self, path: str, key: str) -> Change:
        """One metric, such as metrics/evaluate.json and scratch.valid.perplexity."""
        return self.metrics.get(path, {}).get(key, Change(None, None))

    @property
    def few(self) -> set[str]:
        """The splits that have too few tokens for a score."""
        counts = self.metrics.get("metrics/tokenize.json", {})
        return with_few_tokens({name: count.new for name, count in counts.items() if count.new is not None})

    @property
    def changed(self) -> set[str]:
        """The parameters that differ."""
        return {name for name, change in self.params.items() if change.old != change.new}

    def measure(self, measure: Measure, model: str) -> Change:
        """A measure of a model."""
        old, new = self.metric(*measure.place(model))
        return Change(*(None if number is None else number * measure.factor for number in (old, new)))

    def curve(self, model: str, column: str, at_base: bool) -> dict[int, float]:
        """A column's value in each epoch that has one."""
        change = self.curves.get(model, {}).get(column, Change(None, None))
        return (change.old if at_base else change.new) or {}


class Snapshot(NamedTuple):
    """The results of one revision, in the form of `Difference`."""

    metrics: dict[str, dict[str, Any]]
    params: dict[str, Any]
    curves: dict[str, dict[str, dict[int, float]]]


def difference(base: str, root: Path) -> Difference:
    """Compare the results in `root` with those of a revision, or with nothing where that cannot be read.

    Raises:
        ValueError: DVC cannot read the project, or a file in it is damaged.
    """
    with repository(root):
        here = snapshot(root)
        there, no_base = _at_base(root, base)
    return Difference(
        None if no_base else base,
        {path: _changes(there.metrics.get(path, {}), values) for path, values in here.metrics.items()},
        _changes(there.params, here.params),
        {model: _changes(there.curves.get(model, {}), columns) for model, columns in here.curves.items()},
        _outdated(root),
        no_base,
    )


def _at_base(root: Path, base: str) -> tuple[Snapshot, str]:
    """The results of a revision, or none and the reason."""
    nothing = Snapshot({}, {}, {})
    if not has_git(root):
        return nothing, "this is not a git repository"
    if git(root, "log", "-1", "--format=%h", "--end-of-options", base, "--") == "":
        return nothing, f"{base} is not a commit"
    try:
        return snapshot(root, resolve(root, base)), ""
    except FileNotFoundError as error:
        return nothing, f"{base} has no {error.filename}"
    except (DvcException, ValueError) as error:
        return nothing, " ".join(f"{base} cannot be read: {error}".split())


def snapshot(root: Path, revision: str | None = None) -> Snapshot:
    """Read the results of a revision, or those in the working tree.

    Raises:
        DvcException: DVC does not know the revision or cannot read the project.
        ValueError: a file is damaged.
    """
    # Of a revision, DVC shows the whole repository, and a project in a subfolder is another one in it.
    inside = git(root, "rev-parse", "--show-prefix") or "" if revision else ""
    metrics: dict[str, dict[str, Any]] = {}
    curves: dict[str, dict[str, dict[int, float]]] = {model: {} for model in LABELS}
    with closing(DVCFileSystem(str(root), rev=revision, subrepos=bool(inside))) as files:
        for pattern, model in MEASURED.items():
            for path, text in _read(files, inside, pattern):
                content = parse_json(text, Path(path))
                check_keys(content, model, Path(path))
                metrics[path] = flatten(content)
        for model, columns in curves.items():
            for path, text in _read(files, inside, f"plots/*_{model}.tsv"):
                columns |= _columns(path, text)
    return Snapshot(metrics, flatten(params_show("params.yaml", repo=str(root), rev=revision)), curves)


def base_argument() -> str:
    """The revision in the command line, HEAD by default."""
    return next(iter(sys.argv[1:]), "") or "HEAD"


def _outdated(root: Path) -> list[str] | None:
    try:
        return outdated(root)
    except Busy:
        return None


def _read(files: DVCFileSystem, inside: str, pattern: str) -> Iterator[tuple[str, Any]]:
    """Path and content of each file that matches, of the project in the folder `inside`."""
    for path in map(str, files.glob(inside + pattern)):
        with files.open(path) as file:
            yield path.removeprefix(inside), file.read()


def _columns(path: str, text: bytes) -> dict[str, dict[int, float]]:
    """The columns of a curve, each its value in each epoch that has one. Raises ValueError for a damaged file."""
    try:
        table = pd.read_csv(BytesIO(text), sep="\t", dtype=float).astype({"epoch": int}).set_index("epoch")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return {str(column): table[column].dropna().to_dict() for column in table}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    return {key: Change(old.get(key), new.get(key)) for key in sorted({*old, *new})}
