"""The progress of a training: a bar on a terminal, plain lines elsewhere."""

import sys
from threading import RLock

from tqdm import tqdm

from lstm_lm.core.printable import say

# tqdm's own lock is for several processes: a killed process would leave its semaphore behind, with a warning.
tqdm.set_lock(RLock())

LINES = 20
"""The number of plain lines of a whole training."""


class Progress:
    """Shows epoch, perplexities, tokens per second and the time left.

    Args:
        epochs: of the whole training.
        done: epochs that are done.
    """

    def __init__(self, epochs: int, done: int) -> None:
        self.epochs = epochs
        self.every = max(1, epochs // LINES)
        self.bar = tqdm(total=epochs, initial=done, unit="epoch", disable=None, dynamic_ncols=True)

    def show(self, epoch: int, reached: str, tokens_per_second: float, seconds: float) -> None:
        """Show the state after epoch `epoch`, counted from 1, `seconds` after the training began."""
        text = f"{reached}, {tokens_per_second:,.0f} tokens/s"
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(epoch - self.bar.n if not self.bar.disable else 0)
        if self.bar.disable and (epoch % self.every == 0 or epoch in (1, self.epochs)):
            left = seconds / epoch * (self.epochs - epoch)
            say(f"epoch {epoch}/{self.epochs}: {text}, {left:.0f} s left", sys.stderr)
