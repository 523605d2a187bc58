"""What the fused kernels have of their own: derivatives by hand, buffers, determinism, precision, capture."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lstm_lm.model.backend import Backend
from lstm_lm.model.layer import State
from lstm_lm.model.lstm_fused import FusedLayer, Recurrence
from lstm_lm.model.native_backend import NATIVE
from lstm_lm.model.pytorch_backend import PYTORCH
from lstms import FUSED, Shape, assert_same, build, everything, random_state, random_tokens, textbook_weights

SMALL = Shape(4, 2, 5, 3)
DEFAULT = Shape(35, 32, 28, 256)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deterministic algorithms, as in training."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("backend", [PYTORCH, NATIVE], ids=["PyTorch", "C++"])
def test_derivatives_are_those_of_finite_differences(backend: Backend) -> None:
    def forward(gates: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        return Recurrence.apply(backend, gates.clone(), *others)  # pyright: ignore[reportReturnType]

    generator = torch.Generator().manual_seed(0)
    steps, rows, _, hidden = SMALL
    sizes = ((steps, rows, 4 * hidden), (hidden, 4 * hidden), (rows, hidden), (rows, hidden))
    inputs = [torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]
    assert torch.autograd.gradcheck(forward, inputs)


@pytest.mark.parametrize("kernel", FUSED)
def test_vectors_as_inputs_give_what_one_hot_tokens_give(kernel: str) -> None:
    weights, tokens, state = textbook_weights(SMALL), random_tokens(SMALL), random_state(SMALL)
    vectors = torch.nn.functional.one_hot(tokens, SMALL.vocab_size).double()
    expected, actual = (everything(build(kernel, weights), inputs, state) for inputs in (tokens, vectors))
    assert_same(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kernel", FUSED)
def test_a_second_derivative_is_refused_not_wrong(kernel: str) -> None:
    lstm = build(kernel, textbook_weights(SMALL))
    outputs, _ = lstm(random_tokens(SMALL), random_state(SMALL))
    (gradient,) = torch.autograd.grad(outputs.square().sum(), list(lstm.parameters())[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("kernel", FUSED)
@pytest.mark.usefixtures("threads", "deterministic")
def test_two_runs_give_the_same_bytes(kernel: str) -> None:
    weights = textbook_weights(DEFAULT, torch.float32, 0.05)
    tokens, state = random_tokens(DEFAULT), random_state(DEFAULT, torch.float32)
    first, second = (everything(build(kernel, weights), tokens, state) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kernel", FUSED)
def test_a_graph_can_be_walked_twice(kernel: str) -> None:
    lstm = build(kernel, textbook_weights(SMALL))
    loss = lstm(random_tokens(SMALL), random_state(SMALL))[0].square().sum()
    first, second = (torch.autograd.grad(loss, list(lstm.parameters()), retain_graph=True) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("kernel", FUSED)
def test_the_gradients_that_come_in_are_left_as_they_were(kernel: str) -> None:
    lstm = build(kernel, textbook_weights(SMALL))
    outputs, final = lstm(random_tokens(SMALL), random_state(SMALL))
    incoming = [torch.ones_like(outputs), torch.ones_like(final.cell)]
    torch.autograd.grad([outputs, final.cell], list(lstm.parameters()), incoming)
    assert all((gradient == 1).all() for gradient in incoming)


@pytest.mark.parametrize("kernel", FUSED)
def test_without_gradients_the_values_are_the_same(kernel: str) -> None:
    lstm, tokens, state = build(kernel, textbook_weights(SMALL)), random_tokens(SMALL), random_state(SMALL)
    outputs, final = lstm(tokens, state)
    with torch.no_grad():
        bare, bare_final = lstm(tokens, state)
    assert torch.equal(bare, outputs)
    assert torch.equal(bare_final.hidden, final.hidden)
    assert torch.equal(bare_final.cell, final.cell)


@pytest.mark.parametrize("kernel", FUSED)
def test_outputs_lie_in_memory_step_after_step(kernel: str) -> None:
    outputs, _ = build(kernel, textbook_weights(SMALL))(random_tokens(SMALL), random_state(SMALL))
    assert outputs.is_contiguous()


@pytest.mark.parametrize("kernel", FUSED)
def test_only_the_weights_that_are_asked_for_get_gradients(kernel: str) -> None:
    lstm = build(kernel, textbook_weights(SMALL))
    lstm.requires_grad_(False)
    state = State(*(part.requires_grad_() for part in random_state(SMALL)))
    lstm(random_tokens(SMALL), state)[0].sum().backward()
    assert state.hidden.grad is not None
    assert all(parameter.grad is None for parameter in lstm.parameters())


@pytest.mark.parametrize("kernel", FUSED)
def test_autocast_rounds_the_products_alone(kernel: str) -> None:
    shape = Shape(6, 4, 9, 32)
    weights = textbook_weights(shape, torch.float32, 0.2)
    tokens, state = random_tokens(shape), random_state(shape, torch.float32)
    expected = everything(build(kernel, weights), tokens, state)
    with torch.autocast("cpu", torch.bfloat16):
        actual = everything(build(kernel, weights), tokens, state)
    assert all(tensor.dtype == torch.float32 for tensor in actual.values())
    assert not torch.equal(actual["outputs"], expected["outputs"])
    assert_same(actual, expected, rtol=0.05, atol=0.1)


def test_three_tensors_that_begin_at_zero() -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in FusedLayer(5, 3).named_parameters()}
    assert shapes == {"W_x": (5, 12), "W_h": (3, 12), "b": (12,)}
    assert not any(parameter.any() for parameter in FusedLayer(5, 3).parameters())
