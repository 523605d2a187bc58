"""A training of the model from scratch on the pipeline's tokens, without DVC, and what came of it."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lstm_lm.core import device as devices
from lstm_lm.core.params import Params
from lstm_lm.evaluation.continuation import as_fed, continuation
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.tokens.batching import load_tokens
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training.loop import Training

PREFIX = "time traveller"


class Tokens(NamedTuple):
    """What a folder of the tokenize stage holds: the vocabulary, two streams of token ids, (tokens,) each."""

    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "Tokens":
        """Read the folder. Raises ValueError, OSError."""
        streams = [load_tokens(folder / f"{name}.npy") for name in ("train", "valid")]
        return cls(Vocabulary.load(folder / "vocabulary.json"), *streams)


def configured(params: Params) -> torch.device:
    """The device that `params` ask for, ready to train on."""
    device = devices.choose(params.device)
    devices.configure(device, params.train.precision, params.numerics)
    return device


def train(params: Params, tokens: Tokens, device: torch.device, model: LanguageModel | None = None) -> Training:
    """Train `model`, or the model from scratch that `params` ask for, to the end, as the pipeline does."""
    model = (model or build("scratch", len(tokens.vocabulary), params)).to(device)
    training = Training(model, tokens.train, tokens.valid, params.train, params.seed)
    training.run()
    return training


def outcome(training: Training, tokens: Tokens, length: int = 50, temperature: float | None = None) -> dict[str, Any]:
    """Time, perplexities and text of a training; the validation score is the best one, with its epoch."""
    model, epochs, best = training.model, training.epochs, training.best
    valid = epochs[best - 1].valid_perplexity
    assert valid is not None
    tokenizer = tokens.vocabulary.tokenizer
    prefix = as_fed(PREFIX, tokenizer)
    written = continuation(model, tokens.vocabulary, prefix, length, temperature)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": float(f"{sum(epoch.seconds for epoch in epochs):.4g}"),
        "train_perplexity": round(epochs[-1].train_perplexity, 3),
        "valid_perplexity": round(valid, 3),
        "best_epoch": best,
        "text": tokenizer.join([*prefix, *written]),
    }
