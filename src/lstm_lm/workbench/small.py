"""Run the whole pipeline of the current commit on the embedded sample with small parameters, in a copy.

On GitHub the table of results also goes to the job summary.
"""

import os
import sys
import tempfile
from pathlib import Path

from lstm_lm.workbench import summary
from lstm_lm.workbench.clone import copy_project, dvc

PARAMETERS = ("corpus.name=sample", "model.hidden=64", "train.epochs=20")


def main() -> None:
    """Run and show the results; exit status 1 if a stage failed."""
    with tempfile.TemporaryDirectory(prefix="lstm-lm-small-") as folder:
        project = copy_project(Path(), Path(folder) / "project")
        if dvc(project, "exp", "run", *(f"--set-param={parameter}" for parameter in PARAMETERS)) != 0:
            sys.exit("small: the pipeline failed; its own message stands above")
        table = summary.table(project)
    print(f"\n{table}")
    if target := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(f"### The pipeline on small parameters\n\n```text\n{table}\n```\n\n")


if __name__ == "__main__":
    main()
