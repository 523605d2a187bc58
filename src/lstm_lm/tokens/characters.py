"""Characters as numbers, in order of first appearance."""

from collections.abc import Iterator

import numpy as np


class Characters:
    """Numbers the characters of consecutive texts through a table over code points."""

    def __init__(self) -> None:
        """Know no character yet."""
        self._points: list[int] = []
        self._table = np.zeros(1, np.uint8)  # the number of characters, its last entry too, stands for unknown ones

    @property
    def types(self) -> list[str]:
        """The distinct characters in order of first appearance."""
        return list(map(chr, self._points))

    def numbers(self, texts: Iterator[str]) -> Iterator[np.ndarray]:
        """The number of each character of each of consecutive texts, (characters,), in a small unsigned type."""
        return map(self._numbers, texts)

    def _numbers(self, text: str) -> np.ndarray:
        encoding, kind = ("ascii", "u1") if text.isascii() else ("utf-32-le", "<u4")
        points = np.frombuffer(text.encode(encoding), kind)
        numbers = self._table.take(points, mode="clip")
        new = points[numbers == len(self._points)]
        if not len(new):
            return numbers
        self._learn(new)
        return self._table.take(points, mode="clip")

    def _learn(self, new: np.ndarray) -> None:
        self._points += dict.fromkeys(new.tolist())
        known = len(self._points)
        self._table = np.full(max(self._points) + 2, known, np.min_scalar_type(known))
        self._table[self._points] = np.arange(known)
