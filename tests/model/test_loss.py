"""The loss of every kernel and its gradients against the library's, in float64; in pieces where it is one function."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_lm.model import loss
from lstm_lm.model.backend import Backend
from lstm_lm.model.language_model import Architecture, LanguageModel
from lstm_lm.model.native_backend import NATIVE
from lstm_lm.model.pytorch_backend import PYTORCH
from lstms import KERNELS, randomised

VOCAB_SIZE, STEPS, ROWS = 11, 5, 3


def random_model(kernel: str, tied: bool) -> LanguageModel:
    parts = {"kernel": kernel, "vocab_size": VOCAB_SIZE, "hidden": 4, "embedding": 4, "layers": 2, "tied": tied}
    return randomised(LanguageModel(Architecture.model_validate(parts)).double())


def window() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(VOCAB_SIZE, (STEPS + 1, ROWS), generator=torch.Generator().manual_seed(1))
    return tokens[:-1], tokens[1:]


def gradients(model: LanguageModel) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_loss_has_the_value_and_the_gradients_of_the_whole(
    kernel: str, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, (inputs, targets) = random_model(kernel, tied), window()
    logits, _ = model(inputs, model.initial_state(ROWS))
    whole = 3 * nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    whole.backward()
    expected = gradients(model)
    assert len(expected) == len(list(model.parameters()))

    model.zero_grad()
    monkeypatch.setattr(loss, "PIECE", 4 * VOCAB_SIZE)
    hidden_states, _ = model.hidden_states(inputs, model.initial_state(ROWS))
    mean = 3 * model.output.loss(hidden_states, targets)
    mean.backward()
    torch.testing.assert_close(mean.detach(), whole.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(model), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", [PYTORCH, NATIVE], ids=["PyTorch", "C++"])
def test_a_loss_in_one_function_takes_some_rows_at_a_time(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, computed = [], backend.loss

    def recorded(rows: Tensor, *others: Any) -> tuple[Tensor, ...]:
        sizes.append(len(rows))
        return computed(rows, *others)

    monkeypatch.setattr(loss, "PIECE", 4 * VOCAB_SIZE)
    monkeypatch.setattr(backend, "loss", recorded)
    hidden_states, weight, bias = torch.randn(STEPS, ROWS, 4), torch.randn(4, VOCAB_SIZE), torch.randn(VOCAB_SIZE)
    loss.linear_cross_entropy(backend, hidden_states, weight, bias, window()[1])
    assert sizes == [4, 4, 4, 3]


def test_a_vocabulary_larger_than_a_piece_takes_row_after_row() -> None:
    assert loss.rows_at_once(loss.PIECE + 1) == 1
