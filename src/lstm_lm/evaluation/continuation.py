"""Continue a prefix with a trained model, greedily or sampled."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lstm_lm.core import elementary
from lstm_lm.core.params import Evaluate
from lstm_lm.core.printable import say
from lstm_lm.core.yaml_file import shown
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import windows
from lstm_lm.tokens.tokenizer import Tokenizer, one_line
from lstm_lm.tokens.vocabulary import UNKNOWN, Vocabulary


@torch.no_grad()
def continuation(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prefix: Sequence[str],
    length: int,
    temperature: float | None = None,
    seed: int | Sequence[int] = 0,
) -> Iterator[str]:
    """Yield `length` tokens that continue `prefix`, one by one.

    Tokens of the prefix that the vocabulary does not know count as `<unk>`. `<unk>` itself is never written.

    Args:
        temperature: sample from softmax(logits / temperature); None takes the likeliest token each time.
        seed: of the sampling, one number or several.

    Raises:
        ValueError: the prefix is empty.
    """
    if not prefix:
        raise ValueError("the prefix is empty; give at least one token")
    device, generator, state = next(model.parameters()).device, np.random.default_rng(seed), model.initial_state(1)
    ids = vocabulary.encode(prefix)
    model.eval()
    for window in windows(model, ids):  # all but the last token
        state = model.hidden_states(window.inputs.to(device), state)[1]
    token = int(ids[-1])
    for _ in range(length):
        logits, state = model(torch.tensor([[token]], device=device), state)
        token = choose(logits[0, 0].cpu().double(), temperature, generator)
        yield vocabulary.tokens[token]


def as_fed(prefix: str, tokenizer: Tokenizer) -> Sequence[str]:
    """The tokens that a model reads of a prefix.

    It is normalised as the corpus was. Where only letters are kept, white space at its end stays, as one space.
    """
    normalized = tokenizer.normalize(prefix)
    if tokenizer.kept == "letters" and normalized and prefix.rstrip("\r\n")[-1:].isspace():
        normalized += " "
    return tokenizer.tokens(normalized)


def choose(logits: Tensor, temperature: float | None, generator: np.random.Generator) -> int:
    """A token id from logits, float64 (vocab_size,), greedy or sampled; never id 0, which is `<unk>`."""
    known = logits[1:]
    if temperature is None:
        return int(known.argmax()) + 1
    with np.errstate(over="ignore"):  # a tiny temperature
        scaled = (known - known.max()).numpy() / temperature
    return int(generator.choice(len(known), p=elementary.softmax(scaled))) + 1


def texts(
    models: Mapping[str, LanguageModel], vocabulary: Vocabulary, settings: Evaluate, seed: int
) -> list[dict[str, str]]:
    """Every prefix continued by every model, greedily and sampled: rows of model, prefix, mode, text.

    Each prefix is there once, as the models read it (`as_fed`). Each sample has its own seed, made of `seed` and the
    numbers of model and prefix. With one seed for all, a model that knows little would write the same text after each
    prefix. A line says of which prefixes the vocabulary does not know all tokens.
    """
    tokenizer, known = vocabulary.tokenizer, set(vocabulary.tokens)
    modes = {"greedy": None, "sampled": settings.temperature}
    prefixes = {tokenizer.join(prefix): prefix for prefix in (as_fed(text, tokenizer) for text in settings.prefixes)}
    rows = []
    for prefix_number, (read, prefix) in enumerate(prefixes.items()):
        if unknown := sum(token not in known for token in prefix):
            say(
                f"evaluate.prefixes: {unknown} of {len(prefix)} tokens of {shown(read)} are not in the vocabulary; "
                f"they are read as {UNKNOWN}"
            )
        for model_number, (kind, model) in enumerate(models.items()):
            seeds = (seed, model_number, prefix_number)
            for mode, temperature in modes.items():
                written = continuation(model, vocabulary, prefix, settings.length, temperature, seeds)
                text = tokenizer.join([*prefix, *written]).removeprefix(read)
                rows.append({"model": kind, "prefix": read, "mode": mode, "text": text})
    return rows


def readable(corpus: str, rows: list[dict[str, str]]) -> str:
    """The rows of `texts` for a person: one line each, the prefix in brackets."""
    lines = [one_line(f"{row['model']:8} {row['mode']:8} [{row['prefix']}]{row['text']}") for row in rows]
    return "\n".join([f"Trained on {corpus}; the prefix in brackets, then what the model writes.", "", *lines, ""])
