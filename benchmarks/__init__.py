"""Measurements of speed and memory, side by side; each is run as `python -m benchmarks.<name>`."""
