"""All cores at work on one sequence: the results come in the order of the items, and few items are in memory."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from threading import Thread
from typing import TypeVar

ALONE = 32
"""Items that this process does itself: fewer would be done before others have started."""
MOST = 4
"""Processes that one process can supply with items."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`map(function, items)` on all cores; `function`, items and results must be such that pickle takes them.

    Raises:
        ValueError: a process was killed. Whatever `function` and `items` raise is raised here too.
    """
    items = iter(items)
    yield from map(function, islice(items, ALONE))
    processes = min(MOST, _cores())
    first = list(islice(items, 1))
    if not first or processes == 1:
        yield from map(function, chain(first, items))
        return
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin) as pool:
            waiting: deque[Future[_Result]] = deque()
            for item in chain(first, items):
                waiting.append(pool.submit(function, item))
                if len(waiting) > processes + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ValueError("one of the processes was killed; is there enough memory?") from error


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
