"""Normal random numbers with the same bits on every machine, within 2e-6 of torch.randn's.

torch.randn draws uniform numbers, the same everywhere, and transforms them (Box and Muller, 1958) with logarithms,
sines and cosines that differ between processors. Here the transformation is in float64, rounded once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lstm_lm.core import elementary

_BLOCK = 16
"""torch.randn makes eight normal numbers and eight more from sixteen uniform ones."""


def randn(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Normal numbers, float32, of the shape given, on the CPU.

    A tensor of fewer than 16 numbers, which torch.randn draws in another way, gets other numbers than there.
    """
    count = int(np.prod(shape, dtype=np.int64))
    drawn = torch.rand(max(count, _BLOCK), generator=generator)
    uniform = drawn.double().numpy()
    whole = len(uniform) // _BLOCK * _BLOCK
    normal = _box_muller(uniform[:whole])
    if whole < len(uniform):  # torch.randn draws the last sixteen anew
        last = torch.rand(_BLOCK, generator=generator).double().numpy()
        normal = np.concatenate([normal, np.empty(len(uniform) - whole)])
        normal[-_BLOCK:] = _box_muller(last)
    return torch.from_numpy(normal[:count]).float().view(*shape)


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    """Normal numbers from uniform ones in [0, 1), float64, (count,) both, count a multiple of 16."""
    first, second = uniform.reshape(-1, 2, _BLOCK // 2).swapaxes(0, 1)
    radius = np.sqrt(-2 * elementary.log(1 - first))
    cosine, sine = elementary.turn(second)
    return np.stack([radius * cosine, radius * sine], axis=1).reshape(-1)
