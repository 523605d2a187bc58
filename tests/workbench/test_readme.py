"""The README's numbers are the committed ones, its pictures and files exist."""

import re
from pathlib import Path

import pytest

from lstm_lm.workbench import readme

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_are_those_of_the_committed_metrics() -> None:
    assert readme.update(README, ROOT) == README, "run `make readme`"


def test_a_missing_marker_is_an_error() -> None:
    with pytest.raises(ValueError, match="<!-- results -->"):
        readme.update("no tables here", ROOT)


def test_pictures_and_links_lead_to_files() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert "plots/learning_curves.png" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
