"""What becomes of a check that could not ask whom it must ask."""

import os

from lstm_lm.core.printable import say


def skipped(reason: str) -> int:
    """Print why a check was skipped; its exit status. In CI, where nobody reads a green check, that is a failure."""
    say(f"skipped: {reason}")
    return 1 if os.environ.get("CI") else 0
