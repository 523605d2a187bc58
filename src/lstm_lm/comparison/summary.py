"""Scratch against concise: what each reached."""

from collections.abc import Mapping
from typing import Any


def summary(scores: Mapping[str, Any], throughput: Mapping[str, Any], unigram_perplexity: float) -> dict[str, Any]:
    """The comparison as one table of numbers.

    `overfit` is validation over train perplexity: 1 for a model that has learnt nothing but the language, large
    for one that has learnt its train split by heart.
    """
    speeds = {kind: result["tokens_per_second"] for kind, result in throughput.items()}
    return {
        "scratch_over_concise_tokens_per_second": round(speeds["scratch"] / speeds["concise"], 3),
        "overfit": {kind: scores[kind]["valid"]["perplexity"] / scores[kind]["train"]["perplexity"] for kind in speeds},
        "unigram_perplexity": unigram_perplexity,
    }
