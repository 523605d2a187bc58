"""LSTM language models, from scratch and with torch.nn.LSTM, trained by one reproducible DVC pipeline."""
