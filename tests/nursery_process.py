"""A process that has imported what the stages and DVC import, and forks a child for each command it is asked to run.

Each child is a process of its own, in a group of its own, to be stopped and killed like any other; only the seconds of
importing torch and DVC and of compiling the loops in C++ are saved.
It listens on a socket. A request is a line of JSON, {command, folder, environment, file_limit}, with three open files
for stdin, stdout and stderr; a command is a script or `dvc`, with its arguments. Answers are the child's process id
and, at its end, its exit status (negative: killed by this signal).
"""

import atexit
import contextlib
import importlib
import json
import multiprocessing.process
import os
import resource
import runpy
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

import dvc.cli.parser
import dvc.repo.experiments.run
import dvc.repo.reproduce  # noqa: F401

from lstm_lm.core import numerics
from lstm_lm.model.compiled import library

STAGE_SECONDS, DVC_SECONDS = 120, 300
"""After so long a child hangs: it is ended, which fails its test."""

STAGES = Path("code/stages")


def receive(connection: socket.socket) -> tuple[dict, list[int]]:
    """The request that the connection begins with, and its open files."""
    received, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not received.endswith(b"\n"):
        received += connection.recv(1 << 20)
    return json.loads(received), files


def become(command: list[str], folder: str, environment: dict[str, str], file_limit: int | None) -> None:
    """Make this forked child look like a fresh process that runs `command` in `folder`."""
    os.setpgid(0, 0)
    os.chdir(folder)
    # From where its own children find the script.
    multiprocessing.process.ORIGINAL_DIR = folder  # pyright: ignore[reportAttributeAccessIssue]
    known = environment.get("PYTHONPATH") == os.environ["PYTHONPATH"]
    os.environ.clear()
    os.environ.update(environment)
    if known:
        numerics.pin()  # as the import of the package does
    else:
        search_anew(environment.get("PYTHONPATH", ""))
    signal.alarm(DVC_SECONDS if command[0] == "dvc" else STAGE_SECONDS)
    if file_limit is not None:
        sys.dont_write_bytecode = True  # half of a file would be left to the others
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    sys.argv = command


def search_anew(path: str) -> None:
    """Import what a fresh process with this PYTHONPATH would: its lstm_lm, and its sitecustomize at once."""
    sys.path[:0] = [str(Path(folder).resolve()) for folder in path.split(os.pathsep)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lstm_lm", "sitecustomize")]:
        del sys.modules[name]
    with contextlib.suppress(ImportError):
        importlib.import_module("sitecustomize")


def run_command() -> int:
    """Run the command in sys.argv as the interpreter would; its exit status."""
    try:
        if sys.argv[0] == "dvc":
            runpy.run_module("dvc", run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def attend(connection: socket.socket) -> None:
    """Serve one request: be the parent of its child until the child has ended and the answer was taken."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, files = receive(connection)
    pid = os.fork()
    if pid == 0:
        connection.close()
        for descriptor, file in enumerate(files):
            os.dup2(file, descriptor)
        become(**request)
        status = run_command()
        atexit._run_exitfuncs()  # among them the one that gives back the semaphores of a launcher
        sys.stdout.flush()
        os._exit(status)  # the end of the interpreter itself takes half a second with torch
    for file in files:
        os.close(file)
    connection.sendall(b"%d\n" % pid)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its id stays taken, no signal hits another process
    assert ended
    connection.sendall(b"%d\n" % (ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status))
    connection.recv(1)
    os.waitpid(pid, 0)


def main() -> None:
    """Serve requests until stdin ends."""
    library()
    for script in STAGES.glob("*.py"):
        runpy.run_path(str(script))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who attend
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen(64)
        print("listening")
        while server in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                with contextlib.suppress(ConnectionError):  # who asked was killed
                    attend(connection)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main()
