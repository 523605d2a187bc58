"""How far a training is: a bar on a terminal, plain lines elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from lstm_lm.training import History

LINES = 20
"""Plain lines that a whole training prints."""


class Progress:
    """Shows epoch, perplexity, tokens per second and the time left.

    Args:
        epochs: how many there will be.
        done: how many there are already.
    """

    def __init__(self, epochs: int, done: int) -> None:
        self.epochs = epochs
        self.every = max(1, epochs // LINES)
        self.bar = tqdm(total=epochs, initial=done, unit="epoch", disable=None, dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    def show(self, history: "History") -> None:
        """Show the epoch that `history` ends with."""
        epoch = len(history.perplexity)
        speed = history.tokens[-1] / history.seconds[-1]
        text = f"perplexity {history.perplexity[-1]:.2f}, {speed:,.0f} tokens/s"
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(epoch - self.bar.n if not self.bar.disable else 0)
        if self.bar.disable and (epoch % self.every == 0 or epoch in (1, self.epochs)):
            left = history.wall / epoch * (self.epochs - epoch)
            print(f"epoch {epoch}/{self.epochs}: {text}, {left:.0f} s left", file=sys.stderr, flush=True)
