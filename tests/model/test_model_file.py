"""The file of a model: what it holds, and what of it is compared before any memory is taken."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lstm_lm.model.language_model import Architecture, LanguageModel
from lstm_lm.model.model_file import load_model, save_model
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from lstms import KERNELS, PARTS, randomised

CHARACTERS = Tokenizer("char", "none")
VOCABULARY = Vocabulary.of("abcd", CHARACTERS)
HIDDEN = 3
MEMORY = Path("/proc/self/statm")
"""What a process uses of memory, in pages: Linux tells it here."""


def random_model(kernel: str, **parts: object) -> LanguageModel:
    sizes = {"kernel": kernel, "vocab_size": len(VOCABULARY), "hidden": HIDDEN}
    return randomised(LanguageModel(Architecture.model_validate(sizes | parts)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def content(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["model"])  # noqa: SIM118


@pytest.mark.parametrize("parts", PARTS, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_file_gives_the_model_back_with_its_kernel(kernel: str, parts: dict[str, object], path: Path) -> None:
    model = random_model(kernel, **parts)
    save_model(model, path, VOCABULARY)
    loaded = load_model(path, VOCABULARY)
    assert loaded.architecture == model.architecture
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(weight, loaded.state_dict()[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("kernel", ["fused", "library"])
def test_a_file_says_what_it_holds_under_the_textbook_s_or_the_library_s_names(kernel: str, path: Path) -> None:
    model = random_model(kernel)
    save_model(model, path, VOCABULARY)
    weights, header = content(path)
    assert set(weights) == set(model.state_dict() if kernel == "library" else random_model("book").textbook())
    assert header == {"architecture": model.architecture.model_dump(), "vocabulary": VOCABULARY.digest}


@pytest.mark.parametrize("kernel", ["fused", "library"])
def test_tied_weights_are_counted_and_kept_once(kernel: str, path: Path) -> None:
    tied, untied = (random_model(kernel, embedding=HIDDEN, tied=tied) for tied in (True, False))
    count = [sum(parameter.numel() for parameter in model.parameters()) for model in (tied, untied)]
    assert count[1] - count[0] == len(VOCABULARY) * HIDDEN
    save_model(tied, path, VOCABULARY)
    assert sum(weight.numel() for weight in content(path)[0].values()) == count[0]


@pytest.mark.parametrize(
    "other",
    [
        Vocabulary.of("abdc", CHARACTERS),
        Vocabulary.of("abcde", CHARACTERS),
        Vocabulary.of("abcd", Tokenizer("word", "none")),
    ],
    ids=["another order", "another size", "another tokenizer"],
)
def test_a_model_of_another_vocabulary_is_refused_in_a_line(other: Vocabulary, path: Path) -> None:
    save_model(random_model("fused"), path, VOCABULARY)
    with pytest.raises(
        ValueError, match=r"safetensors was trained with another vocabulary than that of data/tokens: .*$"
    ):
        load_model(path, other)


def refusal(path: Path) -> str:
    """Why the file is refused, in a line."""
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}") as caught:
        load_model(path, VOCABULARY)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("metadata", [None, {"architecture": "{}"}, {"model": "{}"}, {"model": "[" * 100_000}])
def test_another_file_is_refused_in_a_line(metadata: dict[str, str] | None, path: Path) -> None:
    save_file(random_model("book").textbook(), path, metadata)
    assert refusal(path).startswith(" does not hold a language model of this version (")
    path.write_bytes(b"no tensors")
    assert refusal(path).endswith("): run dvc repro")


FORGED = {
    "hidden": (65537, 0, "3", None),
    "layers": (101, 0),
    "embedding": (65537, 0),
    "dropout": (1, -0.1, float("nan")),
    "kernel": ("gru",),
    "tied": (True,),  # without an embedding of the size of the hidden state
}
"""What no params.yaml could ask for."""


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in FORGED.items() for value in values])
def test_an_architecture_that_cannot_be_asked_for_is_refused(key: str, value: object, path: Path) -> None:
    save_model(random_model("fused"), path, VOCABULARY)
    weights, header = content(path)
    header["architecture"][key] = value
    save_file(weights, path, {"model": json.dumps(header)})
    assert refusal(path).startswith(" does not hold a language model of this version (architecture")


@pytest.mark.skipif(not MEMORY.exists(), reason=f"needs {MEMORY}")
@pytest.mark.parametrize("kernel", ["fused", "library"])
def test_a_small_file_that_promises_much_takes_no_memory(kernel: str, path: Path) -> None:
    save_model(random_model(kernel), path, VOCABULARY)
    weights, header = content(path)
    wide, deep = (path.with_name(name) for name in ("wide", "deep"))
    for forged, size in {wide: {"hidden": 65536}, deep: {"layers": 100, "hidden": 4096}}.items():
        architecture = header["architecture"] | size
        save_file(weights, forged, {"model": json.dumps(header | {"architecture": architecture})})
    code = f"""
import resource
from pathlib import Path
from lstm_lm.model.model_file import load_model
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
used = int(Path("{MEMORY}").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))  # a hundredth of what is promised
for path in {[str(wide), str(deep)]}:
    try:
        load_model(Path(path), Vocabulary.of("abcd", Tokenizer("char", "none")))
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for line, forged in zip(done.stdout.splitlines(), (wide, deep), strict=True):
        assert line.startswith(f"{forged} does not hold a language model of this version (")
        assert "expected ('F32', [" in line


def test_other_weights_are_named_before_they_are_read(path: Path) -> None:
    save_model(random_model("fused"), path, VOCABULARY)
    weights, header = content(path)
    for changed, reason in (
        (
            {name: weight for name, weight in weights.items() if name != "W_hf"},
            "W_hf: missing, expected ('F32', [3, 3])",
        ),
        (weights | {"W_hf": torch.zeros(3, 4)}, "W_hf: ('F32', [3, 4]), expected ('F32', [3, 3])"),
        (weights | {"W_hf": torch.zeros(3, 3, dtype=torch.float64)}, "W_hf: ('F64', [3, 3]), expected ('F32', [3, 3])"),
        (weights | {"W\x1b[2J": torch.zeros(1)}, r"W\x1b[2J: ('F32', [1]), expected none"),
    ):
        save_file(changed, path, {"model": json.dumps(header)})
        assert refusal(path) == f" does not hold a language model of this version ({reason}): run dvc repro"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("kernel", ["fused", "library"])
def test_weights_that_are_not_finite_are_refused(kernel: str, bad: float, path: Path) -> None:
    model = random_model(kernel)
    with torch.no_grad():
        list(model.output.parameters())[-1][1] = bad
    save_model(model, path, VOCABULARY)
    name = "output.bias" if kernel == "library" else "b_q"
    assert refusal(path) == f": the weight {name} has a number that is not finite: train the model again"
