"""The numbers in README and docs are the committed ones."""

import json
from pathlib import Path

import pytest

from lstm_lm.workbench import readme

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", readme.TABLES)
def test_tables_are_those_of_the_committed_metrics(page: str) -> None:
    assert readme.update(page, ROOT) == (ROOT / page).read_text(encoding="utf-8"), "run `make readme`"


def test_the_stacks_are_ratios_of_speeds(tmp_path: Path) -> None:
    names = ("nn.LSTM, pipeline, native", "nn.LSTM, pipeline, portable", "fused in C++, pipeline, portable")
    rows = [
        {"layers": 2, "hidden": 200, "vocab_size": 10000, "contestant": name, "step_ms": {"median": ms}}
        for name, ms in zip(names, (3.0, 4.0, 2.0), strict=True)
    ]
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/benchmark_cpu.json").write_text(json.dumps({"stacks": rows}))
    cells = [cell.strip() for cell in readme.stacks(tmp_path).splitlines()[-1].strip("|").split("|")]
    assert cells == ["2", "200", "10,000", "2.00", "1.50"]


def test_a_missing_marker_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no tables here")
    with pytest.raises(ValueError, match=r"README\.md lacks the markers <!-- results -->"):
        readme.update("README.md", tmp_path)
