"""The training loop: learns, repeats itself byte for byte, counts right, goes on where it was stopped."""

import hashlib
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lstm_lm.core import device
from lstm_lm.core.interruption import Interrupted
from lstm_lm.core.params import Train
from lstm_lm.model.language_model import LanguageModel, build
from lstm_lm.model.score import score
from lstm_lm.tokens.batching import Window
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.loop import Epoch, Training
from lstm_lm.training.step import Step
from projects import params_of, train_of

TEXT = b"the time traveller for so it will be convenient to speak of him was expounding a recondite matter to us "
KINDS = [("scratch", "book"), ("scratch", "fused"), ("scratch", "fused_pytorch"), ("concise", "fused")]
STREAM = np.array([1 + b"abcdefghijklmnopqrstuvwxyz ".index(byte) for byte in TEXT * 3], np.uint8)
VALID = STREAM[:60]


def settings(**changes: object) -> Train:
    return train_of(**{"batch_size": 4, "num_steps": 9, "epochs": 5, **changes})


def model(kind: str = "concise", kernel: str = "fused", hidden: int = 12, **parts: object) -> LanguageModel:
    return build(kind, 28, params_of(hidden=hidden, kernel=kernel, **parts, seed=3))


def weights(trained: LanguageModel) -> bytes:
    return b"".join(weight.cpu().numpy().tobytes() for weight in trained.state_dict().values())


class Watched:
    """A step that tells its loss to `watch`."""

    def __init__(self, step: Step, watch: Callable[[Tensor], None]) -> None:
        self.step, self.carried, self.optimizer, self.watch = step, step.carried, step.optimizer, watch

    def __call__(self, window: Window, lr: float) -> tuple[Tensor, Tensor]:
        loss, norm = self.step(window, lr)
        self.watch(loss)
        return loss, norm


def counted(epochs: list[Epoch]) -> list[tuple[float, float | None, int]]:
    """All of the epochs but the clocks."""
    return [epoch[:3] for epoch in epochs]


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


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_two_runs_on_a_gpu_hash_alike(kind: str, kernel: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    gpu = torch.device("cuda")
    device.configure(gpu, "fp32", "portable")
    hashes = set()
    for _ in range(2):
        trained = model(kind, kernel).to(gpu)
        Training(trained, STREAM, VALID, settings(), seed=0).run()
        hashes.add(hashlib.sha256(weights(trained)).hexdigest())
    assert len(hashes) == 1


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


def assert_stops_change_nothing(make: Callable[[], LanguageModel], wanted: Train, folder: Path) -> None:
    """A training that is stopped after every single batch ends in the bytes of an undisturbed one."""
    undisturbed = make()
    expected = Training(undisturbed, STREAM, VALID, wanted, 0).run()
    windows = sum(epoch.tokens for epoch in expected) // 36
    for stops in range(windows + 1):
        resumed = make()
        torch.rand(7)  # whatever happened to torch's global random numbers meanwhile
        loop = Training(resumed, STREAM, VALID, wanted, 0, Checkpoint(folder, "kind", "key", cadence=1e9))
        if stops < windows:
            loop.step = Watched(loop.step, lambda _: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(Interrupted):
                loop.run()
            continue
        assert counted(loop.run()) == counted(expected)
        assert weights(resumed) == weights(undisturbed)


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("sampling", ["sequential", "random"])
def test_stopped_after_every_single_batch_it_ends_in_the_same_bytes(
    kind: str, kernel: str, sampling: str, tmp_path: Path
) -> None:
    assert_stops_change_nothing(lambda: model(kind, kernel), settings(epochs=3, sampling=sampling), tmp_path)


DEEP = {"layers": 2, "embedding": 12, "dropout": 0.3, "tied": True}
EAGER = {"optimizer": "adam", "schedule": "cosine", "lr": 0.01, "keep": "best", "valid_every": 1}


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
    assert len(epochs) == loop.best + 6 < 400
    assert score(trained, unlike).perplexity == scores[loop.best]


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
