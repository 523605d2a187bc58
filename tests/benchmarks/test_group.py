"""What sharing a training costs is measured by the code that shares it."""

import json
from pathlib import Path

from benchmarks.group import measure
from benchmarks.measure import CPU
from lstm_lm.training.group import ALONE


def test_a_process_alone_sends_nothing(tmp_path: Path) -> None:
    measure(ALONE, CPU, tmp_path / "report.json", hidden=[4])
    report = json.loads((tmp_path / "report.json").read_text())
    row = report["shapes"]["4"]
    assert (row["parameters"], "usual_loop" in report) == (668, False)
    assert row["step"] > row["average"]
    assert row["saved_bytes"] > 4 * row["parameters"]
