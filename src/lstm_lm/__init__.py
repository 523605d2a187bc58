"""LSTM language models, from scratch and with torch.nn.LSTM, trained by one reproducible DVC pipeline."""

from lstm_lm.core import numerics

numerics.pin()  # before any library has chosen its code; `numerics: native` in params.yaml takes it back
