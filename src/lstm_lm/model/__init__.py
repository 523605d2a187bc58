"""The LSTM, from scratch and from the library, the language model around it, and its score."""
