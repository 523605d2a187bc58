"""A trained model continues a text: `python -m lstm_lm.generate --help`."""
