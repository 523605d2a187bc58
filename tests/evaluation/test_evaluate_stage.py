"""The scores that the evaluate stage writes."""

import json
from pathlib import Path

import pytest

from lstm_lm.comparison.measures import LABELS, MEASURES
from lstm_lm.core.params import load_params
from lstm_lm.model import arithmetic
from lstm_lm.model.language_model import fix_threads
from lstm_lm.model.model_file import load_model
from lstm_lm.model.score import score_in_windows
from lstm_lm.tokens.batching import load_tokens
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import Project
from stages import evaluate

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


def test_no_score_comes_from_code_that_computes_wrong_values(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_project.root
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise")
    monkeypatch.setattr(arithmetic, "TOLERANCE", -1)  # nothing is as near to the equations
    with pytest.raises(ValueError, match=r"^[^\n]* computes wrong values on this machine [^\n]*$"):
        evaluate.main(load_params(root / "params.yaml"), root)
    assert not (root / "metrics/evaluate.json").exists()


def test_the_code_is_checked_with_the_rows_of_windows_too(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, rows = small_project.root, []
    small_project.set(train__epochs=1, evaluate__window=40)
    small_project.run_through("train_scratch", "train_concise")
    monkeypatch.setattr(evaluate, "check_arithmetic", lambda _, count: rows.append(count))
    evaluate.main(load_params(root / "params.yaml"), root)
    assert rows == [1, 64] * 2
