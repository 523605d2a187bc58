"""What the system tells of the processor."""

from pathlib import Path

import pytest

from lstm_lm.core import processor as module
from lstm_lm.core.processor import Processor

X86 = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags\t\t: fpu fma avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{X86}\n{X86.replace('26', '25')}",
            Processor("AMD EPYC (family 26, model 2)", frozenset({"fpu", "fma", "avx2"})),
        ),
        (ARM, Processor("arm (implementer 0x41, part 0xd40)", frozenset({"fp", "asimd"}))),
        (None, Processor("arm", frozenset())),
    ],
)
def test_it_is_the_first_one_with_its_generation(
    text: str | None, expected: Processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    monkeypatch.setattr(module.platform, "processor", lambda: "arm")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert module.processor.__wrapped__() == expected
