"""The scores that the evaluate stage writes."""

import json
from pathlib import Path

import pytest

from lstm_lm.comparison.measures import LABELS, MEASURES
from lstm_lm.model.language_model import fix_threads
from lstm_lm.model.model_file import load_model
from lstm_lm.model.score import score_in_windows
from lstm_lm.tokens.batching import load_tokens
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import Project

MEASURE = MEASURES["valid_nats_in_windows"]


def evaluated(root: Path) -> dict[str, object]:
    return json.loads((root / "metrics/evaluate.json").read_bytes())


def test_with_a_window_the_scores_in_windows_stand_beside_the_others(small_project: Project) -> None:
    root = small_project.root
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise", "evaluate")
    plain = evaluated(root)
    assert not any(MEASURE.is_in(root, model) for model in LABELS)

    small_project.set(train__epochs=1, evaluate__window=40)
    small_project.run_through("evaluate")
    found = evaluated(root)
    assert found.pop("window") == 40
    vocabulary, streams = Vocabulary.load(root / "data/tokens/vocabulary.json"), root / "data/tokens"
    for kind in LABELS:
        model = load_model(root / f"data/models/{kind}.safetensors", vocabulary)
        fix_threads(model.architecture)
        valid = score_in_windows(model, load_tokens(streams / "valid.npy"), 40)
        assert MEASURE.value(root, kind) == pytest.approx(valid.nats / valid.tokens, rel=1e-12)
        for split in found[kind].values():  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
            del split["bits_per_token_in_windows"]
    assert found == plain, "nothing else changes"
