"""A process that has imported what the stages import, and forks a child for each stage script it is asked to run.

Each child is a process of its own, to be stopped and killed like any other; only the seconds of importing torch and of
compiling the loops in C++ are saved.
Requests are lines of JSON on stdin: {script, folder, log, file_limit}, answered by the child's process id, and
{wait}, answered by that child's exit status (negative: killed by this signal).
"""

import atexit
import json
import os
import resource
import runpy
import signal
import sys
import traceback

from lstm_lm.model.compiled import library

PATIENCE_SECONDS = 120


def become(script: str, folder: str, log: str, file_limit: int | None) -> None:
    """Make this forked child look like a fresh `python script`, run in `folder`, with its output in files."""
    for descriptor, path in enumerate((os.devnull, f"{log}.out", f"{log}.err")):
        opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    signal.alarm(PATIENCE_SECONDS)  # ends a child that hangs, which fails its test
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    sys.argv = [script]


def run_script(script: str) -> int:
    """Run the script as the interpreter would; its exit status."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serve requests until stdin ends."""
    library()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]))
            continue
        pid = os.fork()
        if pid == 0:
            become(**request)
            status = run_script(request["script"])
            atexit._run_exitfuncs()  # among them the one that gives back the semaphores of a launcher
            sys.stdout.flush()
            os._exit(status)  # the end of the interpreter itself takes half a second with torch
        print(pid)


if __name__ == "__main__":
    main()
