"""Run the whole pipeline of the current commit with the parameters of tests/params.yaml, in a copy.

The digests of the results are compared with those in tests/small_run.json: this tells whether a change alters the
numbers. With `--update` they replace the record. On GitHub the table of results also goes to the job summary.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from lstm_lm.comparison.measures import LABELS
from lstm_lm.core.atomic import write_bytes, write_json
from lstm_lm.core.json_file import Content, load_json, read_json
from lstm_lm.core.printable import fail, say
from lstm_lm.core.processor import processor
from tools import summary
from tools.checks.portion import models
from tools.checks.verdict import ENVIRONMENT, changes, is_deterministic
from tools.project import copied, dvc, outputs

PARAMS = Path("tests/params.yaml")
RECORD = Path("tests/small_run.json")

Run = dict[str, dict[str, Any]]


class Record(Content):
    """tests/small_run.json."""

    environment: dict[str, dict[str, Any]]
    sha256: dict[str, str]


def record(project: Path) -> Run:
    """The environments of a run, and the digest of each result that is the same in equal environments."""
    names = [name for name in sorted(outputs(project)) if is_deterministic(name) and (project / name).is_file()]
    return {
        "environment": {path.stem: read_json(path) for path in sorted(project.glob(ENVIRONMENT))},
        "sha256": {name: hashlib.sha256((project / name).read_bytes()).hexdigest() for name in names},
    }


def judge(committed: Run, now: Run) -> tuple[bool, str]:
    """Whether a run may be that of the record, and a line about it.

    What is about nn.LSTM is compared on a machine of the record's kind, what is about the model from scratch
    everywhere: without the record's kernel there is nothing to compare, and the check fails.
    """
    old, new = committed["environment"], now["environment"]
    same = [model for model in LABELS if old.get(f"environment_{model}") == new.get(f"environment_{model}")]
    names = [name for name in committed["sha256"].keys() | now["sha256"].keys() if set(models(name)) <= set(same)]
    altered = [name for name in sorted(names) if committed["sha256"].get(name) != now["sha256"].get(name)]
    if altered:
        about = [models(name) for name in altered]
        doubt = (
            f" No result of the model from scratch alone differs; this processor may be why: {processor().name}."
            f" oneDNN, which computes {LABELS['concise']}, does not promise the same bytes on every processor."
        )
        return False, (
            f"This change alters the numbers: {', '.join(altered)}. "
            f"If that is intended, run `make small UPDATE=1` and commit {RECORD}."
            + (doubt if ["concise"] in about and ["scratch"] not in about else "")
        )
    if "scratch" not in same:
        return False, f"The model from scratch was trained by other code than in the record ({changes(old, new)})."
    if "concise" in same:
        return True, "The numbers are those of the committed small run."
    return True, (
        f"The {len(names)} results of the model from scratch are those of the record. "
        f"For {LABELS['concise']} this is another kind of machine ({changes(old, new)})."
    )


def run(update: bool) -> tuple[str, Run | None, Run]:
    """Run the pipeline in a copy: the table of its results, the committed record, and the record of this run.

    With `update`, the committed record is not read.
    """
    with copied(Path(), "small") as project:
        committed = None if update else load_json(project / RECORD, Record)
        write_bytes(project / "params.yaml", (project / PARAMS).read_bytes())
        if dvc(project, "repro", "--force") != 0:
            fail("small: the pipeline failed (see above)")
        return summary.table(project), committed, record(project)


def main() -> None:
    """Run, show the results and judge them. Exit status 1: a stage failed, or the numbers have changed."""
    try:
        table, committed, now = run("--update" in sys.argv)
    except KeyboardInterrupt:
        fail("small: stopped")
    except (ValueError, OSError) as error:
        fail(f"small: {error}")
    if committed is None:
        write_json(RECORD, now)
        good, verdict = True, f"{RECORD} has the numbers of this run."
    else:
        good, verdict = judge(committed, now)
    say(f"\n{table}\n\n{verdict}")
    if target := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(f"### The pipeline on small parameters\n\n```text\n{table}\n```\n\n{verdict}\n\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
