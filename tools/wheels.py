"""Wheels for `make gpu` on a machine with a GPU and without a network.

It is taken to have Python 3.12 on x86-64 Linux and what such machines usually have: PyTorch, NumPy, pandas, matplotlib,
requests, pytest. What it lacks goes to build/wheels, in the versions of constraints.txt or, of some, of this file.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lstm_lm.core.printable import fail, say

FOLDER = Path("build/wheels")

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
  python3 -m pip install --no-index --no-deps --target build/site build/wheels/*.whl
  PYTHONPATH=$PWD/src:$PWD/build/site python3 -m benchmarks.gpu
The part `recipes` needs ptb.train.txt, ptb.valid.txt and ptb.test.txt in data/corpora there."""


def bring(folder: Path) -> None:
    """Download the wheels into a folder, in place of what is there. Raises ValueError where pip cannot, OSError."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    wanted = [name for name in PACKAGES if "==" not in name]
    pinned = [name for name in PACKAGES if "==" in name]
    with TemporaryDirectory() as new:
        for packages, versions in ((wanted, ["--constraint", "constraints.txt"]), (pinned, [])):
            options = ["--quiet", "--no-deps", "--dest", new, *SYSTEM, *platforms, *versions]
            done = subprocess.run([sys.executable, "-m", "pip", "download", *options, *packages], check=False)
            if done.returncode:
                raise ValueError(f"pip cannot download {', '.join(packages)}; its own message stands above")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for wheel in Path(new).iterdir():
            shutil.copy(wheel, folder)


def main() -> None:
    """Bring the wheels; say which, how large they are and how to use them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        bring(FOLDER)
    except (ValueError, OSError) as error:
        fail(f"wheels: {error}")
    wheels = sorted(FOLDER.iterdir())
    for wheel in wheels:
        say(f"{wheel.stat().st_size / 2**20:5.1f} MiB  {wheel.name}")
    say(f"{sum(wheel.stat().st_size for wheel in wheels) / 2**20:5.1f} MiB  in {FOLDER}\n")
    say(HOW_TO_USE)


if __name__ == "__main__":
    main()
