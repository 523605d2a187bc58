"""Fonts for any text: matplotlib's own, and an installed one for the characters that those lack."""

import functools
from collections.abc import Iterable
from pathlib import Path

from matplotlib.font_manager import findfont, findSystemFonts
from matplotlib.ft2font import FT2Font

OWN = ["DejaVu Sans Mono", "DejaVu Sans"]
"""Part of matplotlib, so the picture is the same on every machine."""

_PLAIN = ("Regular", "Book", "Roman", "Normal")


class Installed:
    """An installed font."""

    def __init__(self, path: str) -> None:
        """Open a font file, of a collection its first font. Raises RuntimeError if matplotlib cannot read it."""
        self.path, self._font = Path(path), FT2Font(path)
        self.name = self._font.family_name

    def has(self, text: str) -> bool:
        """Whether it has every character of a text."""
        return all(self._font.get_char_index(ord(character)) for character in text)

    @property
    def rank(self) -> tuple[bool, bool, str, str]:
        """Sort key: an upright font of normal weight without serifs comes first."""
        return self._font.style_name not in _PLAIN, "Sans" not in self.name, self.name, str(self.path)


def own_have(text: str) -> bool:
    """Whether matplotlib's own fonts have every character of a text."""
    return all(any(font.get_char_index(ord(sign)) for font in _own()) for sign in text)


def best_for(characters: Iterable[str]) -> Installed | None:
    """The installed font with most of the characters, the first by `rank`; None where no font has any."""
    wanted = set(characters)
    having = {font: sum(map(font.has, wanted)) for font in _installed()} if wanted else {}
    found = min(having, key=lambda font: (-having[font], font.rank), default=None)
    return found if found and having[found] else None


@functools.cache
def _own() -> list[FT2Font]:
    return [FT2Font(findfont(name)) for name in OWN]


@functools.cache
def _installed() -> list[Installed]:
    fonts = []
    for path in findSystemFonts():
        try:
            fonts.append(Installed(path))
        except RuntimeError:
            continue
    return [font for font in fonts if "LastResort" not in font.name.replace(" ", "")]  # a box for every sign
