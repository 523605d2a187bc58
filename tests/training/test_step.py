"""One training step is the textbook's: mean cross-entropy, global norm clipping, gradient descent."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from lstm_lm.core import device, threads
from lstm_lm.core.params import Train
from lstm_lm.model import native_backend
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.native_backend import NATIVE
from lstm_lm.tokens.batching import Window
from lstm_lm.training.step import EagerStep, make_step
from lstms import KINDS, randomised
from machines import needs_compiler
from projects import params_of, train_of

VOCAB_SIZE, BATCH_SIZE, NUM_STEPS = 7, 3, 5


def settings(**changes: object) -> Train:
    return train_of(**{"batch_size": BATCH_SIZE, "num_steps": NUM_STEPS, "lr": 0.5, **changes})


def random_model(kind: str = "scratch", kernel: str = "book") -> LanguageModel:
    return randomised(build(kind, VOCAB_SIZE, params_of(hidden=6, kernel=kernel)))


def random_window(seed: int, continues: bool = False) -> Window:
    tokens = torch.randint(VOCAB_SIZE, (NUM_STEPS + 1, BATCH_SIZE), generator=torch.Generator().manual_seed(seed))
    return Window(tokens[:-1], tokens[1:], continues)


def test_the_forward_pass_has_the_precision_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(device, "autocast", lambda _device, precision: seen.append(precision) or nullcontext())
    EagerStep(random_model(), settings(precision="bf16"))(random_window(0), 0.5)
    assert seen == ["bf16"]


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_a_step_is_the_library_s(kind: str, kernel: str) -> None:
    ours, theirs = random_model(kind, kernel), random_model(kind, kernel)
    step, window = EagerStep(ours, settings(lr=0.5, clip=0.05)), random_window(0)
    loss, norm = step(window, 0.5)
    logits, _ = theirs(window.inputs, theirs.initial_state(BATCH_SIZE))
    expected = nn.functional.cross_entropy(logits.reshape(-1, VOCAB_SIZE), window.targets.reshape(-1))
    expected.backward()
    expected_norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)
    assert expected_norm > 0.05
    torch.optim.SGD(theirs.parameters(), lr=0.5).step()
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(norm, expected_norm)
    assert not loss.requires_grad
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5, msg=name)


@needs_compiler
def test_beside_the_threads_in_cpp_torch_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    function, seen, before = native_backend._function, set(), torch.get_num_threads()

    def watched(name: str, dtype: torch.dtype) -> Callable[..., int]:
        def call(*arguments: object) -> int:
            seen.add((torch.get_num_threads(), arguments[-1]))
            return function(name, dtype)(*arguments)

        return call

    monkeypatch.setattr(native_backend, "_function", watched)
    step = EagerStep(random_model("scratch", "fused"), settings())
    with threads.limited(3):
        step(random_window(0), 0.5)
        assert seen == {(1, 3)}
        with native_backend.undisturbed():
            step(random_window(1), 0.5)
        assert seen == {(1, 3)}, "also in one another"
        with pytest.raises(ValueError, match="not in the vocabulary"):
            step(Window(*(tokens + VOCAB_SIZE for tokens in random_window(0)[:2]), continues=False), 0.5)
        assert torch.get_num_threads() == 3
        NATIVE.sum_rows(torch.ones(2, 2))
        assert seen == {(1, 3), (3, 3)}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_the_state_is_carried_detached_and_reset(kind: str, kernel: str) -> None:
    model = random_model(kind, kernel)
    step = EagerStep(model, settings())  # a learning rate of 1e-30 is as good as no update
    after_first = step(random_window(0), 1e-30)[0]
    carried = [tensor.clone() for tensor in step.carried]
    assert all(tensor.any() and not tensor.requires_grad for tensor in carried)
    continued, _ = step(random_window(1, continues=True), 1e-30)
    fresh, _ = step(random_window(1, continues=False), 1e-30)
    assert not math.isclose(continued.item(), fresh.item(), rel_tol=1e-4)
    again, _ = step(random_window(0), 1e-30)
    torch.testing.assert_close(again, after_first)
    for tensor, expected in zip(step.carried, carried, strict=True):
        torch.testing.assert_close(tensor, expected)


def test_the_cpu_takes_the_step_as_it_is() -> None:
    assert isinstance(make_step(random_model(), settings()), EagerStep)
