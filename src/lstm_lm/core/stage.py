"""How a stage script runs: parameters in, one clear line instead of a traceback for the user's mistakes."""

import fcntl
import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import Params, load_params
from lstm_lm.core.printable import fail, say

NO_MEMORY = re.compile("can't allocate memory|out of memory|bad_alloc|can't start new thread")
"""What torch, C++ and Python say in a RuntimeError."""


def run(stage: Callable[[Params, Path], None]) -> None:
    """Call `stage` with the parameters and the project's folder, which is the working directory.

    What `one_line` knows becomes one message on stderr and exit status 1 (LSTM_LM_TRACEBACK=1 shows where it came
    from). A training stopped by a signal exits with 128 plus the signal's number, as a shell would say.

    While it runs, the script's own file is locked, which tells `is_running`. The system drops the lock when the process
    ends, however it ends.
    """
    root = Path()
    gc.freeze()  # what the imports made stays; to look through it again at the end takes half a second with torch
    try:
        with Path(sys.argv[0]).open("rb") as script:
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
    """What to tell of a user's mistake or of a machine that is full; None for an error of the code."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))):
        return f"there is not enough memory: {error}".partition("\n")[0].removesuffix(": ")
    return str(error) if isinstance(error, ValueError | OSError) else None


def check_package() -> None:
    """Raise ValueError where the working directory has this package and Python runs another copy of it.

    The environment of a copied project still holds the original's package.
    """
    package, expected = Path(__file__).parents[1], Path("src/lstm_lm")
    if expected.is_dir() and not expected.samefile(package):
        raise ValueError(
            f"this folder has its own src/lstm_lm, but Python runs {package}: run `make setup`, then activate .venv"
        )


def is_running(name: str, root: Path) -> bool:
    """Whether a process runs stages/<name>.py of the project in `root`."""
    try:
        with (root / f"stages/{name}.py").open("rb") as script:
            fcntl.flock(script, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def project(root: Path) -> Path:
    """The project that the stage in `root` belongs to: its own texts, and what outlives an experiment, are there.

    DVC runs an experiment of --queue or --temp in a copy that it deletes; DVC_ROOT names the project.
    """
    return Path(os.environ.get("DVC_ROOT", root))


def _name() -> str:
    script = Path(sys.argv[0])
    return script.parent.name if script.stem == "__main__" else script.stem
