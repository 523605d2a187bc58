"""`make small` in a subfolder of a larger repository: the commit runs, in a copy, and its numbers are the record's."""

import json
import sys
from pathlib import Path

import pytest

from nursery import Nursery
from repository import Repository
from tools.checks import small
from tools.checks.small import judge

RUN = {"environment": {"environment_scratch": {"torch": "2"}}, "sha256": {"a": "1", "b": "2"}}
ALTERED = RUN | {"sha256": {"a": "1", "b": "3", "c": "4"}}


def test_the_pipeline_runs_on_small_parameters_in_a_copy(tmp_path: Path, nursery: Nursery) -> None:
    repository = Repository.of_project(tmp_path / "repository/project", nursery.commands)
    (repository.folder / ".git").rename(repository.folder.parent / ".git")
    repository.commit()
    summary = tmp_path / "summary.md"
    repository.environment["GITHUB_STEP_SUMMARY"] = str(summary)
    (repository.folder / "stages/fetch.py").write_text("raise SystemExit('not committed')")
    shown = repository.run(sys.executable, "-m", "tools.checks.small")
    assert "Corpus: sample" in shown
    assert shown.splitlines()[-1].startswith("The numbers are ")
    assert shown.splitlines()[-1] in summary.read_text()
    assert repository.git("status", "--porcelain", ".").split() == ["M", "project/stages/fetch.py"]


@pytest.mark.parametrize(("option", "status", "recorded"), [([], 1, RUN), (["--update"], 0, ALTERED)])
def test_only_an_update_renews_the_record(
    option: list[str], status: int, recorded: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(small, "run", lambda: ("the table", RUN, ALTERED))
    monkeypatch.setattr(sys, "argv", ["small", *option])
    small.RECORD.parent.mkdir()
    small.RECORD.write_text(json.dumps(RUN))
    with pytest.raises(SystemExit) as ended:
        small.main()
    assert ended.value.code == status
    assert json.loads(small.RECORD.read_text()) == recorded


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (RUN, (True, "The numbers are those of the committed small run.")),
        (
            ALTERED,
            (
                False,
                "This change alters the numbers: b, c. "
                "If that is intended, run `make small UPDATE=1` and commit tests/small_run.json.",
            ),
        ),
        (
            {"environment": {"environment_scratch": {"torch": "3"}}, "sha256": {}},
            (
                True,
                "The numbers are not compared, since this is another kind of machine "
                "(environment_scratch.torch: 2 -> 3).",
            ),
        ),
    ],
)
def test_a_change_that_alters_the_numbers_is_told(now: dict, expected: tuple[bool, str]) -> None:
    assert judge(RUN, now) == expected
