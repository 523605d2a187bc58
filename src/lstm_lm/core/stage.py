"""How a stage script runs: parameters in, one clear line instead of a traceback for the user's mistakes."""

import fcntl
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import Params, load_params


def run(stage: Callable[[Params, Path], None]) -> None:
    """Call `stage` with the parameters and the project's folder, which is the working directory.

    A ValueError or OSError becomes one message on stderr and exit status 1 (LSTM_LM_TRACEBACK=1 shows where
    it came from). A training stopped by a signal exits with 128 plus the signal's number, as a shell would say.

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
        print(f"{_name()}: {interrupted}", file=sys.stderr)
        sys.exit(128 + interrupted.signum)
    except KeyboardInterrupt:
        print(f"{_name()}: stopped by SIGINT; the same command starts again", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (ValueError, OSError) as error:
        if os.environ.get("LSTM_LM_TRACEBACK"):
            raise
        sys.exit(f"{_name()}: {error}")


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
