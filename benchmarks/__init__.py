"""Measurements of speed and memory, side by side; each is run as `python -m benchmarks.<name>`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
