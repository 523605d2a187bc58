"""The fonts of the machine: which one has a sign, in an order that does not depend on the disk's."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest

from lstm_lm.comparison import fonts

TTF = Path(matplotlib.get_data_path(), "fonts/ttf")
HEBREW = "\N{HEBREW LETTER ALEF}"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The files of a machine that has these fonts, and one that is none."""
    names = ("LastResortHE-Regular.ttf", "DejaVuSerif.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans.ttf", "cmr10.ttf")
    paths = [str(shutil.copy(TTF / name, tmp_path)) for name in names]
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    paths.append(str(tmp_path / "broken.ttf"))
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: paths)
    fonts._installed.cache_clear()
    yield paths
    fonts._installed.cache_clear()


def test_what_matplotlib_s_own_have() -> None:
    assert fonts.own_have(f"a{HEBREW}↵")
    assert not fonts.own_have("a中")


def test_the_plainest_of_those_that_have_most_signs_is_taken(installed: list[str]) -> None:
    found = fonts.best_for(f"aé{HEBREW}")
    assert found
    assert found.path.name == "DejaVuSans.ttf"
    assert found.has("aé")
    assert not found.has("a中")
    installed.reverse()
    fonts._installed.cache_clear()
    again = fonts.best_for(f"aé{HEBREW}")
    assert again
    assert again.path == found.path


@pytest.mark.parametrize("signs", ["", "中"])
def test_there_may_be_none(signs: str, installed: list[str]) -> None:
    assert fonts.best_for(signs) is None
