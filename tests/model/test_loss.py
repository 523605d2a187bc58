"""The loss, taken in pieces: the gradients of one piece, for every kernel, without all logits at once."""

import pytest
import torch
from torch import Tensor, nn

from lstm_lm.model import loss
from lstm_lm.model.language_model import Architecture, LanguageModel

VOCAB_SIZE, STEPS, ROWS = 11, 5, 3


def random_model(kernel: str, tied: bool) -> LanguageModel:
    parts = {"kernel": kernel, "vocab_size": VOCAB_SIZE, "hidden": 4, "embedding": 4, "layers": 2, "tied": tied}
    model, generator = LanguageModel(Architecture.model_validate(parts)).double(), torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model


def window() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(VOCAB_SIZE, (STEPS + 1, ROWS), generator=torch.Generator().manual_seed(1))
    return tokens[:-1], tokens[1:]


def gradients(model: LanguageModel) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kernel", ["book", "fused", "fused_pytorch", "library"])
def test_pieces_have_the_gradients_of_the_whole(kernel: str, tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (inputs, targets) = random_model(kernel, tied), window()
    logits, _ = model(inputs, model.initial_state(ROWS))
    whole = nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    whole.backward()
    expected = gradients(model)
    assert len(expected) == len(list(model.parameters()))

    model.zero_grad()
    sizes = []

    def output(rows: Tensor) -> Tensor:
        sizes.append(len(rows))
        return model.output(rows)

    monkeypatch.setattr(loss, "PIECE", 4 * VOCAB_SIZE)
    hidden_states, _ = model.hidden_states(inputs, model.initial_state(ROWS))
    nats = loss.backpropagate(output, model.output.cross_entropy, VOCAB_SIZE, hidden_states, targets)
    assert sizes == [4, 4, 4, 3]
    torch.testing.assert_close(nats, whole.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradients(model), expected, rtol=1e-5, atol=1e-7)


def test_a_vocabulary_larger_than_a_piece_takes_row_after_row() -> None:
    assert loss.rows_at_once(loss.PIECE + 1) == 1
