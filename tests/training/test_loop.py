"""The training loop: learns, repeats itself byte for byte, counts right, goes on where it was stopped."""

import math
from pathlib import Path

import numpy as np
import pytest

from lstm_lm.model.score import score
from lstm_lm.training.loop import Training
from lstm_lm.training.progress import Progress
from lstm_lm.training.schedule import learning_rate
from lstm_lm.training.step import EagerStep
from lstms import KINDS
from trainings import (
    DEEP,
    EAGER,
    STREAM,
    VALID,
    Watched,
    assert_stops_change_nothing,
    counted,
    model,
    settings,
    weights,
)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("sampling", ["sequential", "random"])
def test_the_same_seed_gives_the_same_bytes(kind: str, kernel: str, sampling: str) -> None:
    runs = []
    for seed in (0, 0, 1):
        trained = model(kind, kernel)
        epochs = Training(trained, STREAM, VALID, settings(sampling=sampling), seed).run()
        runs.append((weights(trained), counted(epochs)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_a_tiny_text_is_learnt_by_heart(kind: str) -> None:
    wanted = settings(batch_size=2, num_steps=30, epochs=250, lr=1.0)
    epochs = Training(model(kind, hidden=64), STREAM, VALID, wanted, 0).run()
    assert epochs[0].train_perplexity > 10
    assert round(epochs[-1].train_perplexity, 1) == 1.0


def test_the_perplexity_is_that_of_the_epochs_own_windows() -> None:
    losses: list[float] = []
    loop = Training(model(), STREAM, VALID, settings(epochs=2, sampling="random"), 0)
    loop.step = Watched(loop.step, lambda loss: losses.append(loss.item()))
    epochs = loop.run()
    windows = len(losses) // 2
    for number, epoch in enumerate(epochs):
        own = losses[number * windows : (number + 1) * windows]
        assert epoch.train_perplexity == pytest.approx(math.exp(sum(own) / windows))
        assert epoch.tokens == windows * 36
        assert 0 < epoch.seconds <= epoch.wall
    assert epochs[-1].wall >= sum(epoch.seconds for epoch in epochs)


@pytest.mark.parametrize(("epochs", "scored"), [(1, [1]), (10, [10]), (21, [10, 20, 21])])
def test_every_tenth_and_the_last_epoch_are_scored(epochs: int, scored: list[int]) -> None:
    rows = Training(model(), STREAM, VALID, settings(epochs=epochs), 0).run()
    assert len(rows) == epochs
    assert [number for number, row in enumerate(rows, 1) if row.valid_perplexity is not None] == scored


def test_too_short_a_stream_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the train split has 40 tokens"):
        Training(model(), STREAM[:40], VALID, settings(), 0)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("sampling", ["sequential", "random"])
def test_stopped_after_every_single_batch_it_ends_in_the_same_bytes(
    kind: str, kernel: str, sampling: str, tmp_path: Path
) -> None:
    assert_stops_change_nothing(lambda: model(kind, kernel), settings(epochs=3, sampling=sampling), tmp_path)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_with_all_parts_together_too(kind: str, kernel: str, tmp_path: Path) -> None:
    assert_stops_change_nothing(lambda: model(kind, kernel, **DEEP), settings(epochs=2, **EAGER), tmp_path)


def test_the_best_weights_are_kept_and_patience_ends_the_training() -> None:
    trained = model(hidden=48)
    wanted = settings(epochs=400, num_steps=20, batch_size=2, keep="best", valid_every=2, patience=3)
    unlike = np.random.default_rng(0).permutation(STREAM)[:60]  # what is learnt by heart helps nothing here
    loop = Training(trained, STREAM, unlike, wanted, 0)
    epochs = loop.run()
    scores = {n: epoch.valid_perplexity for n, epoch in enumerate(epochs, 1) if epoch.valid_perplexity is not None}
    assert list(scores) == list(range(2, len(epochs) + 1, 2))
    assert scores[loop.best] == min(scores.values())
    assert loop.kept_epoch == loop.best
    assert len(epochs) == loop.best + 6 < 400
    assert score(trained, unlike).perplexity == scores[loop.best]


def test_each_window_has_the_learning_rate_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, rates = settings(epochs=3, schedule="cosine"), []
    loop = Training(model(), STREAM, VALID, wanted, 0)
    step = loop.step
    assert isinstance(step, EagerStep)
    prepare = step.prepare
    monkeypatch.setattr(step, "prepare", lambda window, lr: (rates.append(lr), prepare(window, lr)))
    loop.run()
    assert rates == [learning_rate(wanted, epoch, done / 8) for epoch in range(3) for done in range(8)]


def test_the_time_left_is_that_of_the_epochs_left(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(10, 0).show(5, "perplexity 2", 100.0, 20.0)
    assert capsys.readouterr().err == "epoch 5/10: perplexity 2, 100 tokens/s, 20 s left\n"


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_progress_tells_the_last_validation_and_the_best_one(keep: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = settings(epochs=8, lr=20.0, clip=30.0, valid_every=2, keep=keep)
    epochs = Training(model(), STREAM, VALID, wanted, 0).run()
    train, valid = ([f"{value:.2f}" for value in column if value] for column in list(zip(*epochs, strict=True))[:2])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"epoch 1/8: perplexity {train[0]}, ")
    assert "validation" not in lines[0]
    best = f"best {valid[2]} in epoch 6, " if keep == "best" else ""
    assert float(valid[2]) == min(map(float, valid)) < float(valid[3])
    assert lines[6].startswith(f"epoch 7/8: perplexity {train[6]}, validation {valid[2]}, {best}")
    assert lines[7].startswith(f"epoch 8/8: perplexity {train[7]}, validation {valid[3]}, {best}")
    assert ("best" in lines[7]) == (keep == "best")
