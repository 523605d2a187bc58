"""Run the whole pipeline again in a copy of the project and compare every committed result with what comes out."""

import sys
import tempfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import yaml

from lstm_lm.workbench.clone import copy_project, dvc
from lstm_lm.workbench.verdict import ENVIRONMENT, Status, compare, is_deterministic


def results(root: Path) -> dict[str, bytes]:
    """Path -> what to compare, for every output in dvc.lock: of metrics and plots the content, else DVC's digest.

    Raises:
        OSError: there is no dvc.lock, so no results to compare with, or a result is missing.
    """
    lock = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))
    outputs = {out["path"]: out["md5"] for step in lock["stages"].values() for out in step.get("outs", [])}
    return {
        path: (root / path).read_bytes() if path.startswith(("metrics/", "plots/")) else md5.encode()
        for path, md5 in outputs.items()
    }


def report(committed: Mapping[str, bytes], now: Mapping[str, bytes]) -> bool:
    """Print one line for each result and a last one; whether nothing is different."""
    names = sorted(committed.keys() | now.keys())
    same_kind = all(committed.get(name) == now.get(name) for name in names if fnmatch(name, ENVIRONMENT))
    verdicts = {name: compare(name, committed.get(name), now.get(name), same_kind) for name in names}
    width = max(len(name) for name in names)
    for name, (status, detail) in verdicts.items():
        print(f"{name:<{width}}  {status:<14}  {detail}".rstrip())
    different = sum(status is Status.DIFFERENT for status, _ in verdicts.values())
    deterministic = [verdicts[name].status for name in names if is_deterministic(name)]
    identical = deterministic.count(Status.IDENTICAL)
    kind = "the same kind of machine as" if same_kind else "another kind of machine than"
    print(f"\nThis is {kind} the one that made the committed results.")
    print(f"Deterministic results: {identical} of {len(deterministic)} are identical.")
    print(f"{different} of {len(names)} results are different." if different else "The results are reproduced.")
    return not different


def main() -> int:
    """Verify the project in the working directory; 0 if reproduced, 1 if not."""
    with tempfile.TemporaryDirectory(prefix="lstm-lm-verify-") as folder:
        try:
            project = copy_project(Path(), Path(folder) / "project")
            committed = results(project)
            if dvc(project, "repro", "--force") != 0:
                print("verify: the pipeline failed; its own message stands above", file=sys.stderr)
                return 1
            reproduced = report(committed, results(project))
        except OSError as error:
            print(f"verify: {error}", file=sys.stderr)
            return 1
    return 0 if reproduced else 1


if __name__ == "__main__":
    sys.exit(main())
