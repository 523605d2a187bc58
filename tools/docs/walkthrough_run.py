"""The tiny training behind docs/walkthrough.md: one window, in float64, with every value on the way."""

import functools
import random
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm_lm.core.params import Params, load_params
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.layer import Layer, Stack
from lstm_lm.model.lstm_scratch import BookLayer, TimeStep
from lstm_lm.tokens.batching import Window, sequential_partition
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary

TEXT = "The Time Traveller (for so it will be convenient to speak of him) was expounding a recondite matter to us."
"""The first sentence of H. G. Wells, The Time Machine, up to its full stop."""

SETTINGS: dict[str, object] = {
    "seed": 0,
    "model.hidden": 3,
    "model.layers": 1,
    "model.embedding": None,
    "model.dropout": 0.0,
    "model.tied": False,
    "model.init_scale": 1.0,
    "concise.init": "shared",
    "train.batch_size": 2,
    "train.num_steps": 4,
    "train.lr": 1.0,
    "train.clip": 0.25,
    "train.optimizer": "sgd",
    "train.precision": "fp32",
    "train.processes": 1,
}


class Run(NamedTuple):
    """The window and what the book's kernel computes of it; `steps` keep the gradients of their states."""

    params: Params
    normalized: str
    vocabulary: Vocabulary
    window: Window
    model: LanguageModel
    layer: BookLayer
    steps: list[TimeStep]
    logits: Tensor
    loss: Tensor


@functools.cache
def run(root: Path) -> Run:
    """Compute the window forward and backward, keeping every value on the way."""
    params = load_params(root / "params.yaml").changed(SETTINGS)
    tokenizer = Tokenizer("char", "letters")
    normalized = tokenizer.normalize(TEXT)
    vocabulary = Vocabulary.of(tokenizer.tokens(normalized), tokenizer)
    stream, train = vocabulary.encode(tokenizer.tokens(normalized)), params.train
    cut = sequential_partition(len(stream), train.batch_size, train.num_steps, random.Random(params.seed))
    window, model = cut.window(stream, 0, train.num_steps), built("book", len(vocabulary), params)
    layer = only_layer(model)
    assert isinstance(layer, BookLayer)
    (H,), (C,) = model.initial_state(train.batch_size)
    steps = []
    for X in nn.functional.one_hot(window.inputs, len(vocabulary)).double():
        steps.append(layer.step(X, H, C))
        C, H = steps[-1].cell_state, steps[-1].hidden_state
        C.retain_grad()
        H.retain_grad()
    logits = model.output(torch.stack([step.hidden_state for step in steps]))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
    loss.backward()
    return Run(params, normalized, vocabulary, window, model, layer, steps, logits.detach(), loss.detach())


def built(kernel: str, vocab_size: int, params: Params) -> LanguageModel:
    """The model with a kernel; all of them begin with the same weights."""
    kind, own = ("concise", "fused") if kernel == "library" else ("scratch", kernel)
    return build(kind, vocab_size, params.changed({"scratch.kernel": own})).double()


def only_layer(model: LanguageModel) -> Layer:
    """The layer of a model from scratch that has one."""
    assert isinstance(model.lstm, Stack)
    (layer,) = model.lstm.layers
    assert isinstance(layer, Layer)
    return layer


def gradients(step: TimeStep) -> tuple[Tensor, Tensor]:
    """The loss's gradients of a step's hidden state and cell state, (batch_size, hidden) each."""
    dH, dC = step.hidden_state.grad, step.cell_state.grad
    assert dH is not None
    assert dC is not None
    return dH, dC
