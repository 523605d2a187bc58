"""The same weights in every kernel, and the file that they are kept in."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lstm_lm.model.language_model import (
    Architecture,
    LanguageModel,
    build,
    load_model,
    save_model,
    scratch_start,
)
from lstm_lm.model.layer import Stack
from lstm_lm.model.lstm_concise import LibraryLSTM, LibraryOutput
from lstm_lm.model.lstm_fused import FusedLayer
from lstm_lm.params import Model

KERNELS = ("book", "fused", "fused_pytorch", "library")
VOCAB_SIZE, HIDDEN = 5, 3


def empty(kernel: str) -> LanguageModel:
    return LanguageModel(Architecture.model_validate({"kernel": kernel, "vocab_size": VOCAB_SIZE, "hidden": HIDDEN}))


def numbered(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same names and shapes in which no number occurs twice."""
    first, numbers = 0, {}
    for name, tensor in shapes.items():
        numbers[name] = torch.arange(first, first + tensor.numel(), dtype=torch.float32).reshape(tensor.shape)
        first += tensor.numel()
    return numbers


def textbook() -> dict[str, Tensor]:
    return numbered(scratch_start(VOCAB_SIZE, HIDDEN, 0))


def random_model(kernel: str, seed: int = 0) -> LanguageModel:
    model, generator = empty(kernel), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def test_each_gate_has_its_block() -> None:
    weights, fused, library = textbook(), empty("fused"), empty("library")
    for model in (fused, library):
        model.load_textbook(weights)
    assert isinstance(fused.lstm, Stack)
    (layer,), lstm, output = fused.lstm.layers, library.lstm, library.output
    assert isinstance(layer, FusedLayer)
    assert isinstance(lstm, LibraryLSTM)
    assert isinstance(output, LibraryOutput)
    for block, gate in enumerate("cifo"):
        columns = slice(block * HIDDEN, (block + 1) * HIDDEN)
        assert torch.equal(layer.W_x[:, columns], weights[f"W_x{gate}"])
        assert torch.equal(layer.W_h[:, columns], weights[f"W_h{gate}"])
        assert torch.equal(layer.b[columns], weights[f"b_{gate}"])
    for block, gate in enumerate("ifco"):
        rows = slice(block * HIDDEN, (block + 1) * HIDDEN)
        assert torch.equal(lstm.get_parameter("weight_ih_l0")[rows], weights[f"W_x{gate}"].T)
        assert torch.equal(lstm.get_parameter("weight_hh_l0")[rows], weights[f"W_h{gate}"].T)
        assert torch.equal(lstm.get_parameter("bias_ih_l0")[rows], weights[f"b_{gate}"])
    assert torch.equal(output.weight, weights["W_hq"].T)
    assert torch.equal(output.bias, weights["b_q"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_there_and_back_is_the_same(kernel: str) -> None:
    model = empty(kernel)
    model.load_textbook(textbook())
    assert_same(model.textbook(), textbook())


def test_the_library_s_two_biases_are_one() -> None:
    lstm = random_model("library").lstm
    assert isinstance(lstm, LibraryLSTM)
    first, second = lstm.get_parameter("bias_ih_l0").clone(), lstm.get_parameter("bias_hh_l0").clone()
    lstm.load_textbook(lstm.textbook())
    assert torch.equal(lstm.get_parameter("bias_ih_l0"), first + second)
    assert not lstm.get_parameter("bias_hh_l0").any()


@pytest.mark.parametrize("kernels", list(product(KERNELS, KERNELS)), ids="-".join)
def test_a_model_computes_the_same_with_another_kernel(kernels: tuple[str, str]) -> None:
    one, other = random_model(kernels[0]).double(), empty(kernels[1]).double()
    other.load_textbook(one.textbook())
    tokens = torch.randint(VOCAB_SIZE, (4, 2), generator=torch.Generator().manual_seed(0))
    expected, actual = (model(tokens, model.initial_state(2))[0] for model in (one, other))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_given_and_the_returned_weights_are_nobody_else_s(kernel: str) -> None:
    weights, model = textbook(), random_model(kernel)
    model.load_textbook(weights)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert_same(weights, textbook())


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_initial_state_is_zero_and_of_the_weights_type(kernel: str) -> None:
    for part in empty(kernel).double().initial_state(4):
        assert part.shape == (1, 4, HIDDEN)
        assert part.dtype == torch.float64
        assert not part.any()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_file_gives_the_model_back_with_its_kernel(kernel: str, tmp_path: Path) -> None:
    model = random_model(kernel)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.architecture == model.architecture
    assert_same(loaded.state_dict(), dict(model.state_dict()))


def test_a_file_says_what_it_holds_under_the_textbook_s_or_the_library_s_names(tmp_path: Path) -> None:
    for kernel, names in (("fused", scratch_start(VOCAB_SIZE, HIDDEN, 0)), ("library", empty("library").state_dict())):
        save_model(empty(kernel), tmp_path / kernel)
        with safe_open(tmp_path / kernel, framework="pt") as file:
            assert set(file.keys()) == set(names)
            described = json.loads(file.metadata()["architecture"])
        assert described == {"kernel": kernel, "vocab_size": VOCAB_SIZE, "hidden": HIDDEN}


@pytest.mark.parametrize("metadata", [None, {"architecture": "{}"}, {"architecture": "not JSON"}])
def test_another_file_is_refused_in_a_line(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(textbook(), path, metadata)
    with pytest.raises(ValueError, match=r"model.safetensors does not hold a language model .*: run dvc repro$"):
        load_model(path)


def test_a_file_without_all_weights_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights = textbook()
    del weights["W_hf"]
    save_file(weights, path, {"architecture": empty("fused").architecture.model_dump_json()})
    with pytest.raises(ValueError, match=r"does not hold a language model .*W_hf.*: run dvc repro$"):
        load_model(path)


def test_the_start_is_the_textbook_s_or_the_library_s_and_can_be_shared() -> None:
    book = Model.model_validate({"hidden": HIDDEN, "scratch_kernel": "fused", "init": "book"})
    shared = book.model_copy(update={"init": "shared"})
    start = scratch_start(VOCAB_SIZE, HIDDEN, seed=3)
    assert_same(build("scratch", VOCAB_SIZE, book, seed=3).textbook(), start)
    assert_same(build("concise", VOCAB_SIZE, shared, seed=3).textbook(), start)
    before = torch.get_rng_state()
    own = build("concise", VOCAB_SIZE, book, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert_same(dict(nn.LSTM(VOCAB_SIZE, HIDDEN).state_dict()), dict(own.lstm.state_dict()))
