"""The optimisers are torch's, the learning rates the formulas'."""

import math

import pytest
import torch
from torch import nn

from lstm_lm.training.optimizer import OPTIMIZERS
from lstm_lm.training.schedule import learning_rate
from projects import train_of

REFERENCES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=generator)) for size in ((50, 3), (7,))]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_many_steps_are_the_library_s(name: str) -> None:
    ours, theirs = parameters(), parameters()
    optimizer, reference = OPTIMIZERS[name](ours), REFERENCES[name](theirs, lr=0.3)
    generator = torch.Generator().manual_seed(1)
    for step in range(200):
        lr = 0.3 / (step + 1)
        gradients = [torch.randn(parameter.shape, generator=generator) for parameter in ours]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = 0.5 * gradient
        reference.param_groups[0]["lr"] = lr
        reference.step()
        optimizer.update(gradients, torch.tensor(0.5), torch.tensor(lr))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_its_state_is_all_that_the_next_step_needs(name: str) -> None:
    ours, copy = parameters(), parameters()
    optimizer, restored = OPTIMIZERS[name](ours), OPTIMIZERS[name](copy)
    for step in range(6):
        gradients = [torch.full_like(parameter, 0.1 + step) for parameter in ours]
        optimizer.update([gradient.clone() for gradient in gradients], torch.tensor(0.5), torch.tensor(0.1))
        if step == 3:
            for name_, tensor in restored.state().items():
                tensor.copy_(optimizer.state()[name_])
            for mine, other in zip(ours, copy, strict=True):
                other.data.copy_(mine.data)
        if step > 3:
            restored.update(gradients, torch.tensor(0.5), torch.tensor(0.1))
    for mine, other in zip(ours, copy, strict=True):
        assert torch.equal(mine, other)


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
