"""Windows of a token stream for truncated back-propagation through time.

Random numbers are drawn from Python's `random.Random` in the textbook's order, one generator for all epochs, so
that `random.seed(n)` before the textbook's own loop gives the windows that `random.Random(n)` gives here.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def load_tokens(path: Path) -> Tensor:
    """A stream of token ids that the tokenize stage wrote, int64, (tokens,), on the CPU. Raises OSError, ValueError."""
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.int64))
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged; run the tokenize stage again") from error


class Window(NamedTuple):
    """Inputs and their successors, token ids int64, (num_steps, batch_size) each, views where possible.

    `continues` is true where the state after the window before is the state before this one.
    """

    inputs: Tensor
    targets: Tensor
    continues: bool


def windows_per_epoch(tokens: int, batch_size: int, num_steps: int) -> int:
    """The fewest windows that an epoch can have, whatever its random offset."""
    return (tokens - 1 - num_steps) // (batch_size * num_steps)


def check_long_enough(tokens: int, batch_size: int, num_steps: int) -> None:
    """Raise ValueError unless every epoch has at least one full window of every row."""
    if windows_per_epoch(tokens, batch_size, num_steps) < 1:
        raise ValueError(
            f"the train window has {tokens:,} tokens; train.batch_size {batch_size} and train.num_steps {num_steps} "
            f"need at least {batch_size * num_steps + num_steps + 1:,}: lower them or raise tokenize.train_tokens"
        )


def sequential_windows(stream: Tensor, batch_size: int, num_steps: int, generator: random.Random) -> list[Window]:
    """The sequential partition: each row of a window continues the same row of the window before.

    A random offset in 0..num_steps is skipped, the rest cut to a multiple of `batch_size` and laid out in
    `batch_size` rows; what does not fill a last window is dropped (Dive into Deep Learning, section 8.3).

    Args:
        stream: token ids, int64, (tokens,).
    """
    offset = generator.randint(0, num_steps)
    length = (len(stream) - offset - 1) // batch_size
    inputs = stream[offset : offset + batch_size * length].view(batch_size, length).T
    targets = stream[offset + 1 : offset + 1 + batch_size * length].view(batch_size, length).T
    starts = range(0, length // num_steps * num_steps, num_steps)
    return [Window(inputs[s : s + num_steps], targets[s : s + num_steps], continues=s > 0) for s in starts]


def random_windows(stream: Tensor, batch_size: int, num_steps: int, generator: random.Random) -> list[Window]:
    """The random partition: subsequences in random order, each from the zero state.

    A random offset in 0..num_steps-1 is skipped, the rest cut into subsequences of `num_steps`, shuffled and
    grouped by `batch_size`; an incomplete last group is dropped (Dive into Deep Learning, section 8.3).

    Args:
        stream: token ids, int64, (tokens,).
    """
    offset = generator.randint(0, num_steps - 1)
    count = (len(stream) - offset - 1) // num_steps
    order = list(range(count))
    generator.shuffle(order)
    chosen = torch.tensor(order[: count // batch_size * batch_size], device=stream.device)
    inputs = stream[offset : offset + count * num_steps].view(count, num_steps)[chosen]
    targets = stream[offset + 1 : offset + 1 + count * num_steps].view(count, num_steps)[chosen]
    pairs = zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    return [Window(rows.T, successors.T, continues=False) for rows, successors in pairs]


PARTITIONS = {"sequential": sequential_windows, "random": random_windows}
"""`train.sampling` -> the function that cuts an epoch's windows."""


def whole_stream(stream: Tensor, num_steps: int) -> Iterator[Window]:
    """The whole stream as one row, (num_steps, 1) at a time, no token dropped; the last window is shorter."""
    for start in range(0, len(stream) - 1, num_steps):
        end = min(start + num_steps, len(stream) - 1)
        yield Window(stream[start:end, None], stream[start + 1 : end + 1, None], continues=start > 0)
