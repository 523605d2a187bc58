"""The same weights in every kernel."""

from collections.abc import Mapping
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lstm_lm.model import language_model
from lstm_lm.model.language_model import (
    Architecture,
    LanguageModel,
    build,
    kernel_name,
    scratch_start,
    thread_count,
)
from lstm_lm.model.layer import Dropout, Stack, State
from lstm_lm.model.lstm_concise import LibraryLSTM, LibraryOutput
from lstm_lm.model.lstm_fused import FusedLayer
from lstms import KERNELS, KINDS, PARTS, assert_same, randomised, weight_gradients
from machines import needs_pins
from projects import params_of

VOCAB_SIZE, HIDDEN = 5, 3


def empty(kernel: str, **parts: object) -> LanguageModel:
    sizes = {"kernel": kernel, "vocab_size": VOCAB_SIZE, "hidden": HIDDEN}
    return LanguageModel(Architecture.model_validate(sizes | parts))


def numbered(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same names and shapes in which no number occurs twice."""
    first, numbers = 0, {}
    for name, tensor in shapes.items():
        numbers[name] = torch.arange(first, first + tensor.numel(), dtype=torch.float32).reshape(tensor.shape)
        first += tensor.numel()
    return numbers


def textbook() -> dict[str, Tensor]:
    return numbered(empty("book").textbook())


def random_model(kernel: str, **parts: object) -> LanguageModel:
    return randomised(empty(kernel, **parts))


@pytest.mark.parametrize("native", [True, False])
def test_whatever_cpp_has_a_part_in_is_recorded(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "computes", lambda _: native)
    in_cpp = ", update in C++" if native else ""
    device = torch.device("cpu")
    assert kernel_name("fused", device, "fp32") == ("fused in C++" if native else "fused in PyTorch")
    assert kernel_name("fused", device, "bf16") == f"fused in PyTorch{in_cpp}"
    assert kernel_name("book", device, "bf16") == f"book{in_cpp}"


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
    assert_same(model.textbook(), textbook(), rtol=0, atol=0)


def test_the_library_s_two_biases_are_one() -> None:
    lstm = random_model("library").lstm
    assert isinstance(lstm, LibraryLSTM)
    first, second = lstm.get_parameter("bias_ih_l0").clone(), lstm.get_parameter("bias_hh_l0").clone()
    lstm.load_textbook(lstm.textbook())
    assert torch.equal(lstm.get_parameter("bias_ih_l0"), first + second)
    assert not lstm.get_parameter("bias_hh_l0").any()


def everything(model: LanguageModel) -> dict[str, Tensor]:
    """Logits, final state, and gradients of a loss that weighs all of them, under the textbook's names."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCAB_SIZE, (4, 2), generator=generator)
    logits, state = model(tokens, model.initial_state(2))
    loss = sum((v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in (logits, *state))
    assert isinstance(loss, Tensor)
    model.zero_grad()
    loss.backward()
    found = {f"gradient of {name}": gradient for name, gradient in weight_gradients(model).items()}
    return found | {"logits": logits.detach(), "hidden": state.hidden.detach(), "cell": state.cell.detach()}


@pytest.mark.parametrize("parts", PARTS, ids=str)
@pytest.mark.parametrize("kernels", [*product(["book"], KERNELS[1:]), *product(KERNELS[1:], ["book"])], ids="-".join)
def test_values_and_gradients_are_the_same_with_another_kernel(
    kernels: tuple[str, str], parts: dict[str, object]
) -> None:
    one, other = random_model(kernels[0], **parts).double(), empty(kernels[1], **parts).double()
    other.load_textbook(one.textbook())
    assert_same(everything(other), everything(one), rtol=1e-10, atol=1e-12)


@needs_pins
def test_the_size_alone_decides_the_threads_of_portable_nn_lstm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    counts = [thread_count(empty("library", hidden=hidden).architecture) for hidden in (64, 128, 256)]
    assert counts == [1, 2, 2]
    assert thread_count(empty("library", hidden=256).architecture, processes=2) == 1
    assert thread_count(empty("fused", hidden=256).architecture) == 8


class OneByOne(nn.Module):
    """nn.LSTMs of one layer each with our masks between them."""

    def __init__(self, weights: Mapping[str, Tensor], layers: int, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList()
        for number in range(layers):
            suffix = f"_{number}" if number else ""
            own = {name.removesuffix(suffix): w for name, w in weights.items() if name.endswith(suffix)}
            layer = LibraryLSTM(*weights[f"W_xi{suffix}"].shape).double()
            layer.load_textbook({name: own[name] for name in layer.textbook()})
            self.layers.append(layer)

    def textbook(self) -> dict[str, Tensor]:
        return {
            f"{name}_{number}" if number else name: weight
            for number, layer in enumerate(self.layers)
            for name, weight in layer.textbook().items()  # pyright: ignore[reportCallIssue]
        }

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        states = []
        for number, (layer, H, C) in enumerate(zip(self.layers, *state, strict=True)):
            inputs, after = layer(self.dropout(inputs) if number else inputs, State(H[None], C[None]))
            states.append(after)
        return inputs, State(*(torch.cat(parts) for parts in zip(*states, strict=True)))


@pytest.mark.parametrize("parts", [{"layers": 2, "embedding": 4}, {"layers": 2}, PARTS[3]], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_dropout_has_the_same_masks_in_every_kernel(kernel: str, parts: dict[str, object]) -> None:
    parts = {**parts, "dropout": 0.4}
    ours, theirs = random_model(kernel, **parts).double(), random_model("book", **parts).double()
    ours.load_textbook(theirs.textbook())
    without = everything(ours.eval())
    library = OneByOne(theirs.textbook(), theirs.architecture.layers, theirs.dropout)
    theirs.lstm = library  # pyright: ignore[reportAttributeAccessIssue]
    found = everything(ours.train())
    assert_same(found, everything(theirs), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(found["logits"], without["logits"])


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize(("parts", "inputs"), [({}, VOCAB_SIZE), ({"layers": 2, "embedding": 4}, 4)], ids=str)
def test_dropout_is_on_the_input_between_layers_and_before_the_output(
    kind: str, kernel: str, parts: dict[str, int], inputs: int
) -> None:
    model = build(kind, VOCAB_SIZE, params_of(hidden=HIDDEN, kernel=kernel, dropout=0.4, seed=3, **parts))
    sizes: list[int] = []
    model.dropout.register_forward_hook(lambda _module, _given, dropped: sizes.append(dropped.shape[-1]))
    model(torch.zeros(4, 2, dtype=torch.int64), model.initial_state(2))
    assert sizes == [inputs, *[HIDDEN] * parts.get("layers", 1)]
    assert model.dropout.seed == 3


def test_dropout_keeps_the_mean_and_does_nothing_when_nothing_is_trained() -> None:
    dropout, ones = Dropout(0.25, seed=0), torch.ones(10, 10, 100_000 // 100)
    dropped = dropout(ones)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(dropped[0], dropped[1]), "each step has a mask of its own"
    assert not torch.equal(dropout(ones), dropped)
    assert torch.equal(Dropout(0.25, seed=0)(ones), dropped)
    assert torch.equal(dropout.eval()(ones), ones)


def test_a_new_generator_goes_on_with_the_masks_of_the_old_one() -> None:
    ones, (one, other) = torch.ones(10, 10, 10), (Dropout(0.25, seed=0) for _ in range(2))
    for dropout in (one, other):
        dropout(ones)
    one.renew_generator()
    assert torch.equal(one(ones), other(ones))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_given_weights_stay_as_they_are(kernel: str) -> None:
    weights, model = textbook(), random_model(kernel)
    model.load_textbook(weights)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert_same(weights, textbook(), rtol=0, atol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_initial_state_is_zero_and_of_the_weights_type(kernel: str) -> None:
    for part in empty(kernel).double().initial_state(4):
        assert part.shape == (1, 4, HIDDEN)
        assert part.dtype == torch.float64
        assert not part.any()


def test_the_start_is_the_textbook_s_or_the_library_s_and_can_be_shared() -> None:
    book = params_of(hidden=HIDDEN, seed=3)
    shared = params_of(hidden=HIDDEN, seed=3, init="shared")
    start = scratch_start(empty("book").architecture, seed=3)
    assert_same(build("scratch", VOCAB_SIZE, book).textbook(), start, rtol=0, atol=0)
    assert_same(build("concise", VOCAB_SIZE, shared).textbook(), start, rtol=0, atol=0)
    before = torch.get_rng_state()
    own = build("concise", VOCAB_SIZE, book)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert_same(dict(nn.LSTM(VOCAB_SIZE, HIDDEN).state_dict()), dict(own.lstm.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_a_uniform_start_fills_its_range_biases_too(kind: str) -> None:
    settings = params_of(hidden=40, layers=2, embedding=30, init_scale=0.1)
    for parameter in build(kind, 50, settings).parameters():
        assert -0.1 <= parameter.min() < -0.08 < 0.08 < parameter.max() <= 0.1
