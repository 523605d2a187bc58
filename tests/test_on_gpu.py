"""What can be tested on a CUDA device only; `make gpu` runs this file.

It needs no more packages than the stages and pytest.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lstm_lm.core import device
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.layer import State
from lstm_lm.training.loop import Training
from lstm_lm.training.step import EagerStep, GraphedStep
from lstms import SHAPES, Shape, assert_same, build, everything, random_state, random_tokens, textbook_weights
from trainings import DEEP, EAGER, STREAM, VALID, assert_stops_change_nothing, counted, model, settings, weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

GPU = torch.device("cuda")
KERNELS = ("book", "fused", "library")
KINDS = [("scratch", "book"), ("scratch", "fused"), ("concise", "fused")]
PARTS = [({}, {}), (DEEP, EAGER)]
"""What is special about model and training."""


@pytest.fixture(autouse=True)
def configured() -> None:
    device.configure(GPU, "fp32", "portable")


def configure(precision: str) -> None:
    """Set the precision; skip the test where the GPU lacks it."""
    try:
        device.configure(GPU, precision, "portable")
    except ValueError as refused:
        pytest.skip(str(refused))


def on_gpu(kernel: str, weights: dict[str, Tensor], tokens: Tensor, state: State) -> dict[str, Tensor]:
    """What `everything` collects on the GPU, on the CPU."""
    lstm = build(kernel, {name: weight.to(GPU) for name, weight in weights.items()})
    found = everything(lstm, tokens.to(GPU), State(*(part.to(GPU) for part in state)))
    return {name: value.cpu() for name, value in found.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_values_states_and_gradients_are_those_of_the_library_on_the_cpu(kernel: str, shape: Shape) -> None:
    weights, tokens, state = textbook_weights(shape), random_tokens(shape), random_state(shape)
    expected = everything(build("library", weights), tokens, state)
    assert_same(on_gpu(kernel, weights, tokens, state), expected, rtol=1e-10, atol=1e-12)


def test_autocast_rounds_the_products_alone() -> None:
    shape = Shape(6, 4, 9, 32)
    weights, tokens = textbook_weights(shape, torch.float32, 0.2), random_tokens(shape)
    state = random_state(shape, torch.float32)
    expected = on_gpu("fused", weights, tokens, state)
    with torch.autocast("cuda", torch.bfloat16):
        actual = on_gpu("fused", weights, tokens, state)
    assert not torch.equal(actual["outputs"], expected["outputs"])
    assert_same(actual, expected, rtol=0.05, atol=0.1)


def test_products_round_only_where_asked() -> None:
    numbers = torch.rand(512, 512, device=GPU, generator=torch.Generator(GPU).manual_seed(0))
    exact = numbers.double() @ numbers.double()
    errors = {}
    for precision in ("tf32", "fp32"):
        configure(precision)
        errors[precision] = ((numbers @ numbers) - exact).abs().max().item()
    assert errors["fp32"] < errors["tf32"] / 10


def trained(make: Callable[[], LanguageModel], wanted: dict[str, Any]) -> tuple[Training, tuple[object, ...]]:
    """A training that is over, and what is to be the same in another one."""
    untrained = make()
    training = Training(untrained, STREAM, VALID, settings(**wanted), seed=0)
    epochs = training.run()
    return training, (weights(untrained), counted(epochs))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize(("parts", "wanted"), PARTS, ids=["default", "all together"])
@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_two_trainings_give_the_same_bytes(
    kind: str, kernel: str, parts: dict[str, Any], wanted: dict[str, Any], precision: str
) -> None:
    configure(precision)
    wanted = {"precision": precision, **wanted}
    (training, first), (_, second) = (trained(lambda: model(kind, kernel, **parts).to(GPU), wanted) for _ in range(2))
    assert first == second
    assert isinstance(training.step, GraphedStep)
    assert training.step.graph is not None


@pytest.mark.parametrize(("parts", "wanted"), PARTS, ids=["default", "all together"])
@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_stopped_after_every_single_batch_it_ends_in_the_same_bytes(
    kind: str, kernel: str, parts: dict[str, Any], wanted: dict[str, Any], tmp_path: Path
) -> None:
    # The undisturbed training replays a graph, each of the others takes one step operation by operation.
    assert_stops_change_nothing(
        lambda: model(kind, kernel, **parts).to(GPU), settings(**{"epochs": 2, **wanted}), tmp_path
    )


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_where_no_graph_can_be_captured_it_trains_step_by_step(
    kind: str, kernel: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make() -> LanguageModel:
        return model(kind, kernel, **DEEP).to(GPU)

    _, expected = trained(make, {})
    train = EagerStep.train

    def train_and_read(step: EagerStep, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss, norm = train(step, inputs, targets)
        loss.item()  # no capture allows this
        return loss, norm

    monkeypatch.setattr(EagerStep, "train", train_and_read)
    training, found = trained(make, {})
    assert isinstance(training.step, GraphedStep)
    assert training.step.graph is None
    assert "no CUDA graph, training step by step: " in capsys.readouterr().err
    assert found == expected
