"""Look for known vulnerabilities in every pinned package with pip-audit.

Skipped where PyPI's advisories cannot be reached (see `skipped`). Some mirrors serve packages without advisories, as
asking about one package shows.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.checks.skipped import skipped

CONSTRAINTS = Path("constraints.txt")


def main() -> int:
    """Exit status: 0 if no pinned package has a known vulnerability."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pin = next(line.removesuffix(" \\") for line in lines if line.startswith("requests=="))
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(f"{pin}\n")
        file.flush()
        reason = _silence(Path(file.name))
    if reason:
        return skipped(f"pip-audit, since PyPI's advisories cannot be reached from here: {reason}")
    command = [*_command(CONSTRAINTS), "--desc", "off"]
    return subprocess.run(command, check=False).returncode


def _silence(requirements: Path) -> str:
    """Why pip-audit cannot judge the one package of a file; empty where it can."""
    command = [*_command(requirements), "--format", "json"]
    asked = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if not asked.stdout.strip():
        return asked.stderr.strip().rpartition("\n")[2] or "no answer"
    (package,) = json.loads(asked.stdout)["dependencies"]
    return package.get("skip_reason", "")


def _command(requirements: Path) -> list[str]:
    """Exact versions need neither pip nor a dependency resolution."""
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "20"]
    return [sys.executable, "-m", "pip_audit", *options, "--requirement", str(requirements)]


if __name__ == "__main__":
    sys.exit(main())
