"""The numbers in README and docs are the committed ones."""

from pathlib import Path

import pytest

from lstm_lm.workbench import readme

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", readme.TABLES)
def test_tables_are_those_of_the_committed_metrics(page: str) -> None:
    assert readme.update(page, ROOT) == (ROOT / page).read_text(encoding="utf-8"), "run `make readme`"


def test_a_missing_marker_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no tables here")
    with pytest.raises(ValueError, match=r"README\.md lacks the markers <!-- results -->"):
        readme.update("README.md", tmp_path)
