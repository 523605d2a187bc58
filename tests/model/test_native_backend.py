"""What the arithmetic in C++ has of its own: its loops, its products, its threads."""

import pytest
import torch
from torch import nn

from lstm_lm.core import threads
from lstm_lm.model import language_model
from lstm_lm.model.affine import Affine, LookUp
from lstm_lm.model.native_backend import NATIVE
from lstm_lm.model.pytorch_backend import PYTORCH, PyTorch
from lstm_lm.model.score import score
from lstm_lm.tokens.batching import Window
from lstm_lm.training.step import EagerStep
from lstms import Shape, assert_same, build, everything, random_state, random_tokens, textbook_weights
from machines import needs_compiler
from projects import params_of
from trainings import STREAM, settings


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_a_compiler_the_loops_in_pytorch_are_not_used(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in [name for name in vars(PyTorch) if not name.startswith("_")]:
        monkeypatch.delattr(PyTorch, method)
    tokens = torch.arange(36).remainder(28).reshape(9, 4)
    for parts in ({}, {"embedding": 4}):
        model = language_model.build("scratch", 28, params_of(hidden=5, **parts)).to(dtype)
        EagerStep(model, settings())(Window(tokens, tokens, continues=False), 1.0)
        score(model, STREAM)


@needs_compiler
def test_any_number_of_threads_gives_the_same_bytes() -> None:
    shape = Shape(6, 7, 5, 37)
    lstm = build("fused", textbook_weights(shape, torch.float32))
    tokens, state = random_tokens(shape), random_state(shape, torch.float32)
    results = []
    for count in (1, 2, 3):
        with threads.limited(count):
            results.append(everything(lstm, tokens, state))
    for result in results[1:]:
        assert_same(result, results[0], rtol=0, atol=0)


SIZES = [(1, 1, 1), (7, 300, 5), (5, 3, 90), (64, 64, 64), (2, 0, 3), (9, 1100, 300), (301, 550, 20)]
"""Rows, depth and columns of products, some of them deeper and wider than a block."""


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)], ids=str)
def test_products_are_the_library_s(
    sizes: tuple[int, int, int], transposed: tuple[bool, bool], dtype: torch.dtype
) -> None:
    generator, (rows, depth, columns) = torch.Generator().manual_seed(0), sizes
    left = torch.randn((depth, rows) if transposed[0] else (rows, depth), generator=generator, dtype=dtype)
    right = torch.randn((columns, depth) if transposed[1] else (depth, columns), generator=generator, dtype=dtype)
    left, right = left.T if transposed[0] else left, right.T if transposed[1] else right
    rtol = {torch.float32: 1e-4, torch.float64: 1e-12}[dtype]
    bias = torch.randn(columns, generator=generator, dtype=dtype)
    torch.testing.assert_close(NATIVE.product(left, right), left @ right, rtol=rtol, atol=rtol)
    torch.testing.assert_close(NATIVE.product(left, right, bias), left @ right + bias, rtol=rtol, atol=rtol)


@needs_compiler
def test_an_affine_map_has_the_library_s_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in ((5, 4), (4, 3), (3,))
    ]
    assert torch.autograd.gradcheck(lambda *given: Affine.apply(NATIVE, *given), inputs)


@needs_compiler
def test_a_look_up_has_the_gradients_of_a_product_with_one_hot_vectors() -> None:
    generator, ids = torch.Generator().manual_seed(0), torch.tensor([4, 0, 4, 2, 4])
    table, bias = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((5, 700), (700,)))
    d_rows = torch.randn(5, 700, generator=generator, dtype=torch.float64)
    results = []
    for look_up in (True, False):
        leaves = table.clone().requires_grad_(), bias.clone().requires_grad_()
        one_hot = nn.functional.one_hot(ids, 5).double()
        rows = LookUp.apply(NATIVE, *leaves, ids) if look_up else one_hot @ leaves[0] + leaves[1]
        rows.backward(d_rows)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        results.append([rows, *(leaf.grad for leaf in leaves)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-13, atol=1e-13)


@needs_compiler
@pytest.mark.parametrize("bad", [28, 200, -100, 2**40, -(2**63)])
@pytest.mark.parametrize("place", [0, 4])
def test_an_id_outside_of_the_vocabulary_is_refused(bad: int, place: int) -> None:
    ids = torch.arange(5)
    ids[place] = bad
    rows, table, bias = torch.zeros(5, 28), torch.zeros(28, 3), torch.zeros(3)
    for call in (
        lambda: NATIVE.loss(torch.zeros(5, 3), table.T, torch.zeros(28), ids, 5),
        lambda: NATIVE.surprisal(rows, ids),
        lambda: NATIVE.look_up(table, bias, ids),
        lambda: NATIVE.look_up_back(rows, ids, 28),
    ):
        with pytest.raises(ValueError, match=f"^the token id at place {place + 1} is not in the vocabulary"):
            call()


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sizes", [(1, 2), (3, 5), (4, 16), (7, 61), (2, 1000)], ids=str)
def test_the_loss_and_its_gradients_are_the_library_s(
    sizes: tuple[int, int], transposed: bool, dtype: torch.dtype
) -> None:
    generator, (rows, columns), depth = torch.Generator().manual_seed(0), sizes, 6
    shapes = (rows, depth), (columns, depth) if transposed else (depth, columns), (columns,)
    leaves = [torch.randn(shape, generator=generator).double().requires_grad_() for shape in shapes]
    hidden, weight, bias = leaves
    targets = torch.randint(columns, (rows,), generator=generator)
    logits = 5 * (hidden @ (weight.T if transposed else weight)) + bias
    expected = nn.functional.cross_entropy(logits, targets, reduction="sum") / 9
    expected.backward()
    W = (5 * weight).detach().to(dtype)
    nats, *gradients = NATIVE.loss(
        hidden.detach().to(dtype), W.T if transposed else W, bias.detach().to(dtype), targets, 9
    )
    gradients[1] = 5 * (gradients[1].T if transposed else gradients[1])
    rtol = {torch.float32: 5e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(nats.double(), expected.detach(), rtol=rtol, atol=rtol)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert gradient.is_contiguous()
        torch.testing.assert_close(gradient.double(), leaf.grad, rtol=rtol, atol=rtol)
    each = nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(
        NATIVE.surprisal(logits.detach().to(dtype), targets), each.detach(), rtol=rtol, atol=rtol
    )


@needs_compiler
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_logit_that_is_not_finite_makes_the_loss_so(bad: float) -> None:
    for column in (0, 3, 20):
        bias = torch.zeros(21)
        bias[column] = bad
        nats, *_ = NATIVE.loss(torch.zeros(2, 3), torch.zeros(3, 21), bias, torch.tensor([1, 2]), 2)
        assert not nats.isfinite()


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_activations_are_right_to_the_last_bits(dtype: torch.dtype) -> None:
    x = torch.cat([torch.linspace(-30, 30, 20001), torch.linspace(-1e-3, 1e-3, 2001), torch.tensor([1e30, -1e30])])
    x = torch.cat([x, torch.tensor([torch.inf, -torch.inf])]).to(dtype)
    zeros = x.new_zeros(len(x), 1)
    gates = x[None, :, None].repeat(1, 1, 4)
    trace = NATIVE.run(gates.clone(), x.new_zeros(1, 4), zeros, zeros)
    precise = gates.double()
    expected = torch.cat([precise[..., :1].tanh(), precise[..., 1:].sigmoid()], dim=-1)
    torch.testing.assert_close(trace.gates.double(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-37)


@needs_compiler
def test_what_is_not_a_number_stays_so() -> None:
    gates, zeros = torch.zeros(2, 1, 4), torch.zeros(1, 1)
    gates[0, 0, 2] = torch.nan
    trace = NATIVE.run(gates, torch.zeros(1, 4), zeros, zeros)
    assert trace.cells.isnan().flatten().tolist() == [False, True, True]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_types_are_left_to_the_loops_in_pytorch(dtype: torch.dtype) -> None:
    gates, zeros, recurrent = torch.zeros(2, 1, 12, dtype=dtype), torch.zeros(1, 3), torch.ones(3, 12, dtype=dtype)
    expected = PYTORCH.run(gates.clone(), recurrent, zeros, zeros)
    actual = NATIVE.run(gates, recurrent, zeros, zeros)
    assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))
