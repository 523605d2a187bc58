"""Install torch: the build that pip prefers here, after its hash was compared with those in constraints.txt.

With hashes to compare, pip itself prefers PyPI's build, with CUDA, to one for the CPU whose index names no hashes.
"""

import hashlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

KNOWN = ("", "cpu")
"""The builds of which constraints.txt has hashes: PyPI's own, and PyTorch's for the CPU."""


def locked(constraints: str) -> tuple[str, set[str]]:
    """The version of torch in the text of constraints.txt, and the SHA-256 of its wheels."""
    version, hashes = re.findall(r"^torch==(\S+).*\\\n((?: +--hash=.*\n)+)", constraints, re.MULTILINE)[0]
    return version, set(re.findall("sha256:([0-9a-f]{64})", hashes))


def check(wheel: Path, hashes: set[str]) -> str:
    """A sentence about a wheel that cannot be compared; empty for one that has one of the hashes.

    Raises:
        ValueError: a wheel of a known build has another hash.
    """
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest in hashes:
        return ""
    _, _, build = wheel.name.split("-")[1].partition("+")
    if build in KNOWN:
        raise ValueError(f"{wheel.name} has SHA-256 {digest}, which is not in constraints.txt")
    return f"torch: constraints.txt has no hashes of the build {build}, so {wheel.name} was not compared."


def main() -> None:
    """Install what is locked, unless it is there."""
    version, hashes = locked(Path("constraints.txt").read_text(encoding="utf-8"))
    if _installed() == version:
        return
    with TemporaryDirectory(dir=sys.prefix) as folder:
        _pip("download", "--dest", folder, f"torch=={version}")
        [wheel] = Path(folder).iterdir()
        try:
            if said := check(wheel, hashes):
                print(said)
        except ValueError as error:
            sys.exit(f"torch: {error}")
        _pip("install", "--no-compile", str(wheel))


def _installed() -> str | None:
    """The version that is installed, without its build."""
    try:
        return metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _pip(command: str, *arguments: str) -> None:
    """Run a command of pip. Its failure, which it has explained, ends this process."""
    done = subprocess.run([sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
