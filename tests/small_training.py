"""Trains small models and prints what came of each: a digest of weights, curves, scores, surprisal and text, as JSON.

For processes with other instructions, threads, compilers or versions than the test's own. Arguments: names of CASES.
"""

import contextlib
import hashlib
import itertools
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from lstm_lm.core import device
from lstm_lm.core.params import Params, Train
from lstm_lm.evaluation.continuation import continuation
from lstm_lm.model.language_model import LanguageModel, build, fix_threads
from lstm_lm.model.score import score, score_in_windows, surprisal
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import UNKNOWN, Vocabulary
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.loop import Training
from projects import params_of, train_of

VOCABULARY = Vocabulary((UNKNOWN, *"abcdefghijklmnopqrs"), Tokenizer("char", "none"))
VOCAB_SIZE = len(VOCABULARY)
WORDS = {"layers": 2, "embedding": 37, "dropout": 0.3, "tied": True}
ADAM = {"optimizer": "adam", "lr": 0.01, "schedule": "cosine"}
CASES = {
    "fused": ("fused", {}, {}),
    "fused, resumed": ("fused", {}, {}),
    "fused, words": ("fused", WORDS, ADAM),
    "fused, random": ("fused", {"init_scale": 0.1}, {"sampling": "random", "schedule": "decay", "decay_after": 1}),
    "fused_pytorch": ("fused_pytorch", {}, {}),
    "book": ("book", {}, {}),
    "library": ("library", {}, {}),
    "library_without_onednn": ("library", {}, {}),
}
"""Kernel, and what is special about the sections `model` and `train`. "library" is torch.nn.LSTM."""

_drawn = random.Random(0)
STREAM = np.array([_drawn.randrange(1, VOCAB_SIZE) for _ in range(700)], np.uint8)


class Stopped(Exception):
    """Ends a training in its middle."""


def untrained(params: Params, kernel: str) -> LanguageModel:
    model = build("concise" if kernel == "library" else "scratch", VOCAB_SIZE, params)
    fix_threads(model.architecture)
    return model


def train(case: str) -> str:
    """A digest of all that a training of 3 epochs leaves."""
    kernel, of_model, of_train = CASES[case]
    torch.backends.mkldnn.enabled = case != "library_without_onednn"  # pyright: ignore[reportAttributeAccessIssue]
    params = params_of(hidden=37, kernel="fused" if kernel == "library" else kernel, **of_model)
    settings = train_of(batch_size=9, num_steps=12, epochs=3, valid_every=1, **of_train)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder), "scratch", "key", cadence=0)
        if case.endswith("resumed"):
            stop_in_the_middle(untrained(params, kernel), settings, checkpoint)
        model = untrained(params, kernel)
        epochs = Training(model, STREAM, STREAM[:300], settings, seed=0, checkpoint=checkpoint).run()
    digest = hashlib.sha256(repr([epoch[:2] for epoch in epochs]).encode())
    digest.update(repr((score(model, STREAM), score_in_windows(model, STREAM, 40))).encode())
    for temperature in (None, 1.0):
        digest.update("".join(continuation(model, VOCABULARY, "fad", 40, temperature)).encode())
    for values in (*model.textbook().values(), surprisal(model, STREAM)):
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()


def stop_in_the_middle(model: LanguageModel, settings: Train, checkpoint: Checkpoint) -> None:
    saves = itertools.count(1)

    def stop() -> None:
        if next(saves) > 8:
            raise Stopped

    with contextlib.suppress(Stopped):
        Training(model, STREAM, STREAM[:300], settings, 0, checkpoint, stop).run()
        raise AssertionError("the training was not stopped")


if __name__ == "__main__":
    device.configure(torch.device("cpu"), "fp32", "portable")
    print(json.dumps({case: train(case) for case in sys.argv[1:]}))
