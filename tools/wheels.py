"""Wheels for `make gpu` on a machine with a GPU and without a network.

It is taken to have Python 3.12 on x86-64 Linux and what such machines usually have: PyTorch, NumPy, pandas, matplotlib,
requests, pytest. What it lacks goes to build/wheels, in the versions of constraints.txt or, of some, of this file.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from lstm_lm.core.printable import fail, say

PACKAGES = (
    *("pydantic", "pydantic-core", "annotated-types", "typing-extensions", "typing-inspection"),
    *("polars==1.44.2", "polars-runtime-32==1.44.2"),  # newer ones are larger
    "flashrnn==1.0.8",
)
"""What is brought, with all that it needs and such a machine lacks."""

SYSTEM = ("--python-version", "3.12", "--implementation", "cp", "--only-binary", ":all:")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

HOW_TO_USE = """\
On that machine, in a copy of this folder:
  python3 -m pip install --no-index --no-deps --target build/site {folder}/*.whl
  PYTHONPATH=$PWD/src:$PWD/build/site python3 -m benchmarks.gpu
The part `recipes` needs ptb.train.txt, ptb.valid.txt and ptb.test.txt in data/corpora there."""


def bring(folder: Path) -> list[Path]:
    """Download the wheels into a folder. Raises ValueError where pip cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    wanted = [name for name in PACKAGES if "==" not in name]
    pinned = [name for name in PACKAGES if "==" in name]
    for packages, versions in ((wanted, ["--constraint", "constraints.txt"]), (pinned, [])):
        options = ["--quiet", "--no-deps", "--dest", str(folder), *SYSTEM, *platforms, *versions]
        done = subprocess.run([sys.executable, "-m", "pip", "download", *options, *packages], check=False)
        if done.returncode:
            raise ValueError(f"pip cannot download {', '.join(packages)}; its own message stands above")
    return sorted(folder.glob("*.whl"))


def main() -> None:
    """Bring the wheels; say which, how large they are and how to use them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/wheels"), help="(build/wheels)")
    folder = parser.parse_args().folder
    try:
        wheels = bring(folder)
    except ValueError as error:
        fail(f"wheels: {error}")
    for wheel in wheels:
        say(f"{wheel.stat().st_size / 2**20:5.1f} MiB  {wheel.name}")
    say(f"{sum(wheel.stat().st_size for wheel in wheels) / 2**20:5.1f} MiB  in {folder}\n")
    say(HOW_TO_USE.format(folder=folder))


if __name__ == "__main__":
    main()
