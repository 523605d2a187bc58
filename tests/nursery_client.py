"""Stands in for a command in a test: `nursery_client.py <socket> <command>...` has the nursery run it.

It hands over its folder, environment and open files, passes on signals, and ends as the command ends.
"""

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    folder = os.getcwd()  # noqa: PTH109, since pathlib takes longer than all the rest
    request = {"command": sys.argv[2:], "folder": folder, "environment": dict(os.environ), "file_limit": None}
    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [0, 1, 2])
    answers = connection.makefile()
    pid = int(answers.readline())
    for number in PASSED_ON:
        signal.signal(number, lambda number, _frame: os.killpg(pid, number))
    status = int(answers.readline())
    connection.shutdown(socket.SHUT_WR)
    answers.read()  # until the process is gone
if status < 0:
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
