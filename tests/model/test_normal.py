"""Normal numbers beside torch.randn's."""

import hashlib

import pytest
import torch

from lstm_lm.model.normal import randn


@pytest.mark.parametrize("shape", [(28, 256), (16,), (17,), (100, 3), (37, 41)], ids=str)
def test_they_are_torch_s_but_for_rounding_and_draw_as_many_numbers(shape: tuple[int, ...]) -> None:
    own, torch_s = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    actual, expected = randn(shape, own), torch.randn(shape, generator=torch_s)
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-6)
    assert torch.equal(own.get_state(), torch_s.get_state())


def test_a_few_numbers_are_normal_too() -> None:
    few = torch.cat([randn((3,), torch.Generator().manual_seed(seed)) for seed in range(2000)])
    assert abs(float(few.mean())) < 0.05
    assert abs(float(few.std()) - 1) < 0.05


def test_their_bits_are_the_same_on_every_machine() -> None:
    numbers = randn((1000, 17), torch.Generator().manual_seed(0))
    assert (
        hashlib.sha256(numbers.numpy().tobytes()).hexdigest()
        == "e399fe428ff2c7d5d10fab90333e5ea3f3aa1db63a85c571f8425916f8e22470"
    )
