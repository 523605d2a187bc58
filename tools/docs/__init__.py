"""The tables in README and docs, made from metrics/ and recipes/."""
