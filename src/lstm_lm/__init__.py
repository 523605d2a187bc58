"""LSTM language models, from scratch and with torch.nn.LSTM, trained by one reproducible DVC pipeline."""

import sys
from pathlib import Path

from lstm_lm import numerics

# The environment of a copied project still holds the original's package.
_package, _expected = Path(__file__).parent, Path("src/lstm_lm")
if _expected.is_dir() and not _expected.samefile(_package):
    sys.exit(f"This folder has its own src/lstm_lm, but Python runs {_package}. Run `make setup`, then activate .venv.")

numerics.pin()  # before any library has chosen its code; `numerics: native` in params.yaml takes it back
