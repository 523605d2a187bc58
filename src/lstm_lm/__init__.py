"""LSTM language models, from scratch and with torch.nn.LSTM, trained by one reproducible DVC pipeline."""

import os

from lstm_lm.core import numerics

numerics.pin()  # before any library has chosen its code; `numerics: native` in params.yaml takes it back

# GNU's OpenMP reads this when torch loads it. Its threads, which torch and nn.LSTM use, wait awake for their next
# work: by default for milliseconds, in which they take the cores from the project's own threads and from others.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
