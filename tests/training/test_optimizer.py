"""The optimisers are torch's, the learning rates the formulas'."""

import math

import pytest
import torch
from torch import nn

from lstm_lm.model import native_backend
from lstm_lm.training.optimizer import OPTIMIZERS, SGD, clipping
from lstm_lm.training.schedule import learning_rate
from projects import train_of

BOUND = 12.0
"""Of the norm of some 157 normal numbers: it cuts most of them, not all."""
REFERENCES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=generator)) for size in ((50, 3), (7,))]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_many_clipped_steps_are_the_library_s(name: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(native_backend, "supports", lambda *_: False)
    ours, theirs = parameters(), parameters()
    optimizer, reference = OPTIMIZERS[name](ours), REFERENCES[name](theirs, lr=0.3)
    generator = torch.Generator().manual_seed(1)
    for step in range(200):
        lr = 0.3 / (step + 1)
        gradients = [torch.randn(parameter.shape, generator=generator) for parameter in ours]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        expected = nn.utils.clip_grad_norm_(theirs, BOUND)
        reference.param_groups[0]["lr"] = lr
        reference.step()
        torch.testing.assert_close(optimizer.update(gradients, BOUND, torch.tensor(lr)), expected)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_its_state_is_all_that_the_next_step_needs(name: str) -> None:
    ours, copy = parameters(), parameters()
    optimizer, restored = OPTIMIZERS[name](ours), OPTIMIZERS[name](copy)
    for step in range(6):
        gradients = [torch.full_like(parameter, 0.1 + step) for parameter in ours]
        optimizer.update([gradient.clone() for gradient in gradients], BOUND, torch.tensor(0.1))
        if step == 3:
            for name_, tensor in restored.state().items():
                tensor.copy_(optimizer.state()[name_])
            for mine, other in zip(ours, copy, strict=True):
                other.data.copy_(mine.data)
        if step > 3:
            restored.update(gradients, BOUND, torch.tensor(0.1))
    for mine, other in zip(ours, copy, strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("bound", [0.01, 1.0, 4.9, 5.0, 5.1, 100.0])
def test_clipping_is_the_textbook_s(bound: float) -> None:
    gradients = [torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([-4.0])]  # the global norm is 5
    scale, norm = clipping(gradients, bound)
    assert norm.item() == 5
    assert scale.item() == pytest.approx(bound / 5 if bound < 5 else 1, rel=1e-6)


def test_zero_gradients_change_nothing_and_bad_ones_show() -> None:
    scale, norm = clipping([torch.zeros(3)], 1.0)
    assert (scale.item(), norm.item()) == (1, 0)
    weight = nn.Parameter(torch.ones(2))
    assert SGD([weight]).update([torch.zeros(2)], 1.0, torch.tensor(1.0)).item() == 0
    assert weight.tolist() == [1, 1]
    assert SGD([weight]).update([torch.tensor([0, torch.nan])], 1.0, torch.tensor(1.0)).isnan()
    assert weight.isnan().all()


def test_the_learning_rates() -> None:
    constant, decay = train_of(lr=2.0), train_of(lr=2.0, schedule="decay", lr_decay=0.5, decay_after=4)
    assert {learning_rate(constant, epoch, 0.5) for epoch in range(20)} == {2.0}
    assert [learning_rate(decay, epoch, 0.5) for epoch in range(7)] == [2, 2, 2, 2, 1, 0.5, 0.25]
    cosine = train_of(lr=2.0, schedule="cosine", epochs=4)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=2.0), 8)
    for step in range(8):
        assert learning_rate(cosine, step // 2, step % 2 / 2) == pytest.approx(reference.get_last_lr()[0])
        reference.optimizer.step()
        reference.step()
    assert learning_rate(cosine, 3, 0.999) < 1e-3 < 2 == learning_rate(cosine, 0, 0)
    assert math.isclose(learning_rate(cosine, 2, 0), 1)
