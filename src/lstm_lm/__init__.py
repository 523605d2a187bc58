"""LSTM language models, from scratch and with torch.nn.LSTM, trained by one reproducible DVC pipeline."""

import os

from lstm_lm.core import numerics

numerics.pin()  # before any library has chosen its code; `numerics: native` in params.yaml takes it back

# How long OpenMP's threads wait awake for their next work: as long as the C++ code's own (model/native/team.h),
# tenths of a millisecond. By default it is milliseconds, in which they take the cores from all other work.
# GNU's OpenMP reads it when torch loads it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
