"""Fonts that have the signs of a text: matplotlib's own and, for what those lack, one that the machine has."""

import functools
from collections.abc import Iterable
from pathlib import Path

from matplotlib.font_manager import findfont, findSystemFonts
from matplotlib.ft2font import FT2Font

OWN = ["DejaVu Sans Mono", "DejaVu Sans"]
"""They come with matplotlib: the same picture on every machine."""

_PLAIN = ("Regular", "Book", "Roman", "Normal")


class Installed:
    """A font of this machine."""

    def __init__(self, path: str) -> None:
        """Open a font file; of a collection of fonts, its first one. Raises RuntimeError where it is none."""
        self.path, self._font = Path(path), FT2Font(path)
        self.name = self._font.family_name

    def has(self, text: str) -> bool:
        """Whether it has all signs of a text."""
        return all(self._font.get_char_index(ord(sign)) for sign in text)

    @property
    def rank(self) -> tuple[bool, bool, str, str]:
        """The smallest comes first: an upright font of normal weight, without serifs."""
        return self._font.style_name not in _PLAIN, "Sans" not in self.name, self.name, str(self.path)


def own_have(text: str) -> bool:
    """Whether matplotlib's own fonts have all signs of a text."""
    return all(any(font.get_char_index(ord(sign)) for font in _own()) for sign in text)


def for_signs(signs: Iterable[str]) -> Installed | None:
    """The machine's font that has most of some signs, if any has one of them; of several, the first by `rank`."""
    wanted = set(signs)
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
        except RuntimeError:  # a format that matplotlib cannot read
            continue
    return [font for font in fonts if "LastResort" not in font.name.replace(" ", "")]  # a box for every sign
