"""Tell whether dvc.lock and the committed results belong to the code, parameters and data of this checkout."""

import re
import subprocess
import sys
from pathlib import Path


def outdated(root: Path) -> list[str]:
    """The stages that `dvc repro` would run, as far as DVC can tell without running them.

    Data that are not here count as what dvc.lock says they were.

    Raises:
        ValueError: DVC itself failed; the message is its own.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    done = subprocess.run(
        command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False
    )
    # A stage that would run is "Running"; DVC fails at one whose data would come from a stage before it.
    stages = re.findall(
        r"^(?:Running stage|ERROR: failed to reproduce) '(.+?)':", done.stdout + done.stderr, re.MULTILINE
    )
    if done.returncode != 0 and not stages:
        complaint = next((line for line in done.stderr.splitlines() if line.strip()), "no reason given")
        raise ValueError(f"dvc failed: {complaint.removeprefix('ERROR: ')}")
    return stages


def main() -> None:
    """Judge the project in the working directory; exit status 1 if a stage would run or DVC failed."""
    try:
        stages = outdated(Path())
    except ValueError as error:
        sys.exit(f"current: {error}")
    if stages:
        sys.exit(
            f"The committed results are out of date (changed: {', '.join(stages)}): "
            "run 'dvc repro' and commit dvc.lock, metrics/ and plots/."
        )
    print("The committed results are current.")


if __name__ == "__main__":
    main()
