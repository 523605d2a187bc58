"""Look for known vulnerabilities in every pinned package with pip-audit.

Skipped where PyPI's advisories cannot be reached (see `skipped`). Some mirrors serve packages without advisories, as
asking about one package shows.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.checks.skipped import skipped

CONSTRAINTS = Path("constraints.txt")


def main() -> int:
    """Exit status: 0 if no pinned package has a known vulnerability."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pin = next(line.removesuffix(" \\") for line in lines if line.startswith("requests=="))
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(f"{pin}\n")
        file.flush()
        probe = _audit(Path(file.name))
    if probe is None or any("skip_reason" in package for package in probe["dependencies"]):
        return skipped("pip-audit, since PyPI's advisories cannot be reached from here")
    command = [*_command(CONSTRAINTS), "--desc", "off"]
    return subprocess.run(command, check=False).returncode


def _audit(requirements: Path) -> dict[str, Any] | None:
    """pip-audit's report on one file, None where it made none."""
    asked = subprocess.run([*_command(requirements), "--format", "json"], capture_output=True, check=False)
    return json.loads(asked.stdout) if asked.stdout.strip() else None


def _command(requirements: Path) -> list[str]:
    """Exact versions need neither pip nor a dependency resolution."""
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "20"]
    return [sys.executable, "-m", "pip_audit", *options, "--requirement", str(requirements)]


if __name__ == "__main__":
    sys.exit(main())
