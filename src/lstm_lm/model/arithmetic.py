"""A check before a model is used: whether this machine's code computes its equations.

Libraries have computed nonsense without an error: oneDNN's LSTM does where OpenMP grants fewer threads than torch asked
for.
"""

import os

import torch
from torch import Tensor

from lstm_lm.model.language_model import Architecture, LanguageModel

STEPS = 5
"""Time steps of the window that is computed twice."""

MOST_TYPES = 10_000
"""Types of the check's vocabulary: with more, it would take more memory than the training."""

TOLERANCE = 1e-3
"""Relative. float32 was at most 1e-5 off, wrong code at least 0.1."""

SUSPECTS = ("OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS")
"""Variables that may give OpenMP fewer threads than torch asks for."""


def check_arithmetic(architecture: Architecture, rows: int) -> None:
    """Compute a small window as the model would, on the CPU in float32, and by the plain equations in float64.

    It computes what a step of the training would, dropout included, which draws the same masks in both.

    Args:
        architecture: the model's; weights and tokens are random numbers of this check.
        rows: of the window, as many as the model will compute with.

    Raises:
        ValueError: the loss, the state or a gradient differs.
    """
    few = {"vocab_size": min(architecture.vocab_size, MOST_TYPES)}
    parts, generator = architecture.model_copy(update=few), torch.Generator().manual_seed(0)
    equations, bound = LanguageModel(parts.model_copy(update={"kernel": "book"})), parts.hidden**-0.5
    weights = {
        name: torch.empty_like(weight).uniform_(-bound, bound, generator=generator)
        for name, weight in equations.textbook().items()
    }
    tokens = torch.randint(parts.vocab_size, (STEPS + 1, rows), generator=generator)
    expected = _computed(equations.double(), weights, tokens)
    for name, value in _computed(LanguageModel(parts), weights, tokens).items():
        difference, largest = (value.double() - expected[name]).abs().max(), expected[name].abs().max()
        apart = float(difference / largest if largest > 0 else difference)  # dropout may leave a gradient of zeros
        if not apart <= TOLERANCE:  # so that NaN does not pass
            raise ValueError(_complaint(parts.kernel, name, apart))


def _computed(model: LanguageModel, weights: dict[str, Tensor], tokens: Tensor) -> dict[str, Tensor]:
    """Loss, final state and, under the textbook's names, the weights' gradients."""
    model.load_textbook(weights)
    hidden_states, state = model.train().hidden_states(tokens[:-1], model.initial_state(tokens.shape[1]))
    loss = model.output.loss(hidden_states, tokens[1:])
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    gradients = {f"gradient of {name}": value for name, value in model.textbook().items() if name.startswith("W")}
    return {
        "loss": loss.detach(),
        "hidden state": state.hidden.detach(),
        "cell state": state.cell.detach(),
        **gradients,
    }


def _complaint(kernel: str, name: str, apart: float) -> str:
    code = "torch.nn.LSTM" if kernel == "library" else f"the kernel {kernel}"
    found = ", ".join(f"{variable}={os.environ[variable]}" for variable in SUSPECTS if variable in os.environ)
    advice = f"unset {found}" if found else "set scratch.kernel to book, or try another version of torch or compiler"
    return f"{code} computes wrong values on this machine (the {name} is off by {apart:.1g}, relative): {advice}"
