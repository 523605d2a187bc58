"""`make small` in a subfolder of a larger repository: the commit runs, in a copy."""

import sys
from pathlib import Path

from repository import Repository


def test_the_pipeline_runs_on_small_parameters_in_a_copy(tmp_path: Path) -> None:
    repository = Repository.of_project(tmp_path / "repository/project")
    (repository.folder / ".git").rename(repository.folder.parent / ".git")
    repository.commit()
    summary = tmp_path / "summary.md"
    repository.environment["GITHUB_STEP_SUMMARY"] = str(summary)
    (repository.folder / "stages/fetch.py").write_text("raise SystemExit('not committed')")
    shown = repository.run(sys.executable, "-m", "lstm_lm.workbench.small")
    assert "Corpus: sample" in shown
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["scratch", "concise"]
    assert "Corpus: sample" in summary.read_text()
    assert repository.git("status", "--porcelain", ".").split() == ["M", "project/stages/fetch.py"]
