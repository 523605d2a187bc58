"""Continue a prefix with a trained model, greedily or sampled."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.params import Evaluate
from lstm_lm.tokens.text import Vocabulary, normalize


@torch.no_grad()
def continuation(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prefix: str,
    length: int,
    temperature: float | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Yield `length` tokens that continue `prefix`, one by one.

    The prefix is fed character by character; characters that the vocabulary does not know count as `<unk>`.
    `<unk>` itself is never written.

    Args:
        temperature: sample from softmax(logits / temperature); None takes the likeliest token each time.
        seed: of the sampling.

    Raises:
        ValueError: the prefix is empty.
    """
    if not prefix:
        raise ValueError("the prefix is empty; give at least one character")
    device = next(model.parameters()).device
    generator = np.random.default_rng(seed)
    tokens = torch.from_numpy(vocabulary.encode(prefix).astype(np.int64)).to(device)[:, None]
    state = model.initial_state(1)
    model.eval()
    for _ in range(length):
        logits, state = model(tokens, state)
        token = choose(logits[-1, 0].double().cpu().numpy(), temperature, generator)
        yield vocabulary.tokens[token]
        tokens = torch.tensor([[token]], device=device)


def as_fed(prefix: str) -> str:
    """What a model reads of a prefix: normalised as the corpus was, but white space at its end stays, as one space."""
    space = " " if prefix.rstrip("\r\n")[-1:].isspace() else ""
    return normalize(prefix) + space


def choose(logits: np.ndarray, temperature: float | None, generator: np.random.Generator) -> int:
    """A token id from logits (vocab_size,), greedy or sampled; never id 0, which is `<unk>`."""
    known = logits[1:]
    if temperature is None:
        return int(known.argmax()) + 1
    with np.errstate(over="ignore"):  # next to no temperature: all but the likeliest go to exp(-inf)
        weights = np.exp((known - known.max()) / temperature)
    return int(generator.choice(len(known), p=weights / weights.sum())) + 1


def texts(
    models: Mapping[str, LanguageModel], vocabulary: Vocabulary, settings: Evaluate, seed: int
) -> list[dict[str, str]]:
    """Every prefix continued by every model, greedily and sampled: rows of model, prefix, mode, text.

    The prefixes in the rows are what the models read (`as_fed`).
    """
    modes = {"greedy": None, "sampled": settings.temperature}
    return [
        {
            "model": kind,
            "prefix": prefix,
            "mode": mode,
            "text": "".join(continuation(model, vocabulary, prefix, settings.length, temperature, seed)),
        }
        for prefix in map(as_fed, settings.prefixes)
        for kind, model in models.items()
        for mode, temperature in modes.items()
    ]


def readable(corpus: str, rows: list[dict[str, str]]) -> str:
    """The rows of `texts` for a person: one line each, the prefix in brackets."""
    lines = [f"{row['model']:8} {row['mode']:8} [{row['prefix']}]{row['text']}" for row in rows]
    return "\n".join([f"Trained on {corpus}; the prefix in brackets, then what the model writes.", "", *lines, ""])
