"""Scratch against concise: the same weights in both, and what each reached."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import CHUNK
from lstm_lm.tokens.batching import whole_stream


@torch.no_grad()
def max_logit_difference(scratch: LanguageModel, stream: np.ndarray) -> float:
    """The largest absolute difference of logits when the scratch model's weights are loaded into nn.LSTM.

    Both read the whole stream from the zero state; rounding is all that may set them apart.

    Args:
        scratch: the trained model, on the CPU.
        stream: token ids, (tokens,).
    """
    library = LanguageModel(scratch.architecture.model_copy(update={"kernel": "library"}))
    library.load_textbook(scratch.textbook())
    states = [scratch.initial_state(1), library.initial_state(1)]
    largest = 0.0
    for window in whole_stream(stream, CHUNK):
        ours, states[0] = scratch(window.inputs, states[0])
        theirs, states[1] = library(window.inputs, states[1])
        largest = max(largest, float((ours - theirs).abs().max()))
    return largest


def summary(
    scores: Mapping[str, Any], throughput: Mapping[str, Any], unigram_perplexity: float, logit_difference: float
) -> dict[str, Any]:
    """The comparison as one table of numbers.

    `overfit` is validation over train perplexity: 1 for a model that has learnt nothing but the language, large
    for one that has learnt its train split by heart.
    """
    speeds = {kind: result["tokens_per_second"] for kind, result in throughput.items()}
    return {
        "scratch_over_concise_tokens_per_second": round(speeds["scratch"] / speeds["concise"], 3),
        "overfit": {kind: scores[kind]["valid"]["perplexity"] / scores[kind]["train"]["perplexity"] for kind in speeds},
        "unigram_perplexity": unigram_perplexity,
        "max_logit_difference": logit_difference,
    }
