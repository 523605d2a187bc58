"""Text of others reaches a terminal as text."""

import sys

import pytest

from lstm_lm.core.printable import fail, printable, say

ORDINARY = "Лев, 时间\u3000L'été\u00a0! \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d👧"
CASES = {
    "\x1b]0;title\x07\x1b[2J": r"\x1b]0;title\x07\x1b[2J",
    "one\ntwo\r\nthree\u2028four": "one two three four",
    "a\tb\0c\x7f\x9b": r"a\tb\x00c\x7f\x9b",
    "moc.elpmaxe\u202e \ud800": r"moc.elpmaxe\u202e \ud800",
    ORDINARY: ORDINARY,
}


@pytest.mark.parametrize(("text", "shown"), CASES.items(), ids=["terminal", "lines", "controls", "order", "languages"])
def test_what_is_not_printable_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_said_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("\none\x1b\n\ntwo\r")
    say("to stderr", sys.stderr)
    with pytest.raises(SystemExit) as ended:
        fail("three\x07")
    assert ended.value.code == 1
    assert capsys.readouterr() == ("\none\\x1b\n\ntwo\n", "to stderr\nthree\\x07\n")
