"""Runs a stage script: reads the parameters, and prints one line instead of a traceback for a user's mistake."""

import fcntl
import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import Params, load_params
from lstm_lm.core.printable import fail, say

NO_MEMORY = re.compile("can't allocate memory|out of memory|bad_alloc|can't start new thread")
"""Messages of torch, C++ and Python in a RuntimeError."""


def run(stage: Callable[[Params, Path], None]) -> None:
    """Call `stage` with the parameters and the project's folder, which is the working directory.

    An error that `one_line` knows becomes one message on stderr and exit status 1 (LSTM_LM_TRACEBACK=1 shows the
    traceback). A training stopped by a signal exits with 128 plus the signal's number, as in a shell.

    The script's own file is locked while it runs, for `is_running`. The system drops the lock when the process ends.
    """
    root = Path()
    gc.freeze()  # skip imported objects in the final collection (saves 0.5 s)
    try:
        with Path(sys.argv[0]).open("rb") as script:
            with suppress(OSError):  # on a file system without locks, `is_running` finds none either
                fcntl.flock(script, fcntl.LOCK_SH)
            check_package()
            stage(load_params(root / "params.yaml"), root)
    except Interrupted as interrupted:
        say(f"{_name()}: {interrupted}", sys.stderr)
        sys.exit(interrupted.status)
    except KeyboardInterrupt:
        say(f"{_name()}: stopped by SIGINT; the same command starts again", sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        message = one_line(error)
        if message is None or os.environ.get("LSTM_LM_TRACEBACK"):
            raise
        fail(f"{_name()}: {message}")


def one_line(error: Exception) -> str | None:
    """The message for a user's mistake or missing memory; None for an error of the code."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))):
        return f"there is not enough memory: {error}".partition("\n")[0].removesuffix(": ")
    return str(error) if isinstance(error, ValueError | OSError) else None


def check_package() -> None:
    """Raise ValueError if the working directory has this package and Python runs another copy of it.

    The environment of a copied project still has the original's package.
    """
    package, expected = Path(__file__).parents[1], Path("src/lstm_lm")
    if expected.is_dir() and not expected.samefile(package):
        raise ValueError(
            f"this folder has its own src/lstm_lm, but Python runs {package}: run `make setup`, then activate .venv"
        )


def is_running(name: str, root: Path) -> bool:
    """Whether a process is known to run stages/<name>.py of the project in `root`."""
    try:
        with (root / f"stages/{name}.py").open("r+b") as script:  # NFS locks alone only what may be written
            fcntl.flock(script, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def project(root: Path) -> Path:
    """The project of the stage in `root`, with the user's texts and the files that outlive an experiment.

    DVC runs an experiment of --queue or --temp in a copy that it deletes; DVC_ROOT is the project.
    """
    return Path(os.environ.get("DVC_ROOT", root))


def _name() -> str:
    script = Path(sys.argv[0])
    return script.parent.name if script.stem == "__main__" else script.stem
