"""Windows of a token stream for truncated back-propagation through time.

An epoch is a `Partition`: where in the stream each row of each window starts. Windows are gathered from the stream
one at a time, so the stream may be a memory map of any size.

Random numbers are drawn from Python's `random.Random` in the textbook's order, one generator for all epochs, so
that `random.seed(n)` before the textbook's own loop gives the windows that `random.Random(n)` gives here.
"""

import mmap
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def load_tokens(path: Path) -> np.ndarray:
    """A stream of token ids that the tokenize stage wrote, (tokens,), mapped into memory, not read.

    Raises:
        ValueError: the file holds something else.
        OSError: the file cannot be read.
    """
    try:
        stream = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged; run the tokenize stage again") from error
    if not (isinstance(stream, np.ndarray) and stream.ndim == 1 and stream.dtype.kind == "u"):
        raise ValueError(f"{path} is not a stream of token ids; run the tokenize stage again")
    return stream


class Window(NamedTuple):
    """Inputs and their successors, token ids int64, (num_steps, batch_size) each.

    `continues` is true where the state after the window before is the state before this one.
    """

    inputs: Tensor
    targets: Tensor
    continues: bool

    def check(self, vocab_size: int) -> None:
        """Raise ValueError unless all ids are below `vocab_size`: the model would read beyond its weights."""
        largest = int(max(self.inputs.max(), self.targets.max()))
        if largest >= vocab_size:
            raise ValueError(
                f"the stream has the token id {largest}, the vocabulary {vocab_size} tokens: "
                "run the tokenize stage again"
            )


class Partition(NamedTuple):
    """An epoch of `windows` windows of `batch_size` rows.

    `starts` gives for the number of a window the position in the stream at which each of its rows starts, int64,
    (batch_size,). `continues` tells whether each window but the first continues the one before it.
    """

    windows: int
    batch_size: int
    starts: Callable[[int], np.ndarray]
    continues: bool

    def part(self, number: int, count: int) -> "Partition":
        """The rows of one of `count` processes that share them equally: the same windows, `batch_size / count` rows."""
        size, starts = self.batch_size // count, self.starts
        rows = slice(number * size, (number + 1) * size)
        return self._replace(batch_size=size, starts=lambda window: starts(window)[rows])

    def window(self, stream: np.ndarray, number: int, num_steps: int) -> Window:
        """Gather a window from the stream, token ids (tokens,), on the CPU."""
        tokens = _read(stream, self.starts(number) + np.arange(num_steps + 1)[:, None])
        return Window(tokens[:-1], tokens[1:], self.continues and number > 0)


def windows_per_epoch(tokens: int, batch_size: int, num_steps: int) -> int:
    """The fewest windows that an epoch can have, whatever its random offset."""
    return (tokens - 1 - num_steps) // (batch_size * num_steps)


def check_long_enough(tokens: int, batch_size: int, num_steps: int) -> None:
    """Raise ValueError unless every epoch has at least one full window of every row."""
    if windows_per_epoch(tokens, batch_size, num_steps) < 1:
        raise ValueError(
            f"the train split has {tokens:,} tokens; train.batch_size {batch_size} and train.num_steps {num_steps} "
            f"need at least {batch_size * num_steps + num_steps + 1:,}: lower them or raise tokenize.train_tokens"
        )


def sequential_partition(tokens: int, batch_size: int, num_steps: int, generator: random.Random) -> Partition:
    """The sequential partition: each row of a window continues the same row of the window before.

    A random offset in 0..num_steps is skipped, the rest cut to a multiple of `batch_size` and laid out in
    `batch_size` rows; what does not fill a last window is dropped (Dive into Deep Learning, section 8.3).
    """
    offset = generator.randint(0, num_steps)
    length = (tokens - offset - 1) // batch_size
    rows = offset + length * np.arange(batch_size)
    return Partition(length // num_steps, batch_size, lambda number: rows + num_steps * number, continues=True)


def random_partition(tokens: int, batch_size: int, num_steps: int, generator: random.Random) -> Partition:
    """The random partition: subsequences in random order, each from the zero state.

    A random offset in 0..num_steps-1 is skipped, the rest cut into subsequences of `num_steps`, shuffled and
    grouped by `batch_size`; an incomplete last group is dropped (Dive into Deep Learning, section 8.3).
    The order takes four bytes for each subsequence.
    """
    offset = generator.randint(0, num_steps - 1)
    count = (tokens - offset - 1) // num_steps
    order = np.arange(count, dtype=np.uint32)
    generator.shuffle(order.data)  # pyright: ignore[reportArgumentType]: items can be set, which is all it needs
    windows = count // batch_size
    chosen = order[: windows * batch_size].reshape(windows, batch_size)
    return Partition(windows, batch_size, lambda number: offset + num_steps * chosen[number].astype(np.int64), False)


PARTITIONS = {"sequential": sequential_partition, "random": random_partition}
"""`train.sampling` -> the function that cuts an epoch's windows."""


def whole_stream(stream: np.ndarray, num_steps: int) -> Iterator[Window]:
    """The whole stream as one row, (num_steps, 1) at a time, no token dropped; the last window is shorter."""
    for start in range(0, len(stream) - 1, num_steps):
        tokens = _read(stream, slice(start, start + num_steps + 1))[:, None]
        yield Window(tokens[:-1], tokens[1:], continues=start > 0)


def separate_windows(stream: np.ndarray, num_steps: int, rows: int) -> Iterator[Window]:
    """The whole stream in windows that do not overlap and do not continue one another, at most `rows` at a time.

    Each row is the next window of the stream; the stream's last one is shorter, and alone. No token is dropped.
    """
    count, rest = divmod(len(stream) - 1, num_steps)
    for first in range(0, count, rows):
        starts = num_steps * np.arange(first, min(first + rows, count))
        tokens = _read(stream, starts + np.arange(num_steps + 1)[:, None])
        yield Window(tokens[:-1], tokens[1:], continues=False)
    if rest:
        yield from whole_stream(stream[-rest - 1 :], rest)


def _read(stream: np.ndarray, places: np.ndarray | slice) -> Tensor:
    """Token ids at places of a stream, int64. What was read of a mapped file does not stay in this process's memory."""
    tokens = torch.from_numpy(stream[places].astype(np.int64))
    if isinstance(stream.base, mmap.mmap):
        stream.base.madvise(mmap.MADV_DONTNEED)
    return tokens
