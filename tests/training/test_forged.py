"""A checkpoint that says it belongs to a training, and holds something else, ends the training with one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from lstm_lm.training import checkpoint as checkpoints
from lstm_lm.training import curves
from lstm_lm.training.checkpoint import Checkpoint, Tree
from lstm_lm.training.loop import Training
from trainings import STREAM, VALID, model, settings

SETTINGS = settings(epochs=3, valid_every=1, keep="best", optimizer="adam")
WRONG: list[Any] = [None, -1, 1e308, "x", [], {"x": 1}, torch.zeros(2, 3)]


class Stopped(Exception):
    """Ends a training in its middle."""


def train(checkpoint: Checkpoint, folder: Path) -> Training:
    """A training that has resumed, and that is finished."""

    def on_save() -> None:
        curves.write(training.epochs, "concise", folder)

    training = Training(model(dropout=0.1), STREAM, VALID, SETTINGS, 0, checkpoint, on_save)
    training.run()
    curves.write(training.epochs, "concise", folder)
    return training


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    """The state in the middle of the second epoch."""
    checkpoint = Checkpoint(tmp_path / "checkpoints", "concise", "key", cadence=0)
    saves = iter(range(10))

    def stop() -> None:
        if next(saves, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        Training(model(dropout=0.1), STREAM, VALID, SETTINGS, 0, checkpoint, stop).run()
    checkpoint.cadence = 1000
    return checkpoint


def places(state: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths to all dictionaries' entries."""
    for key, value in state.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


def forge(checkpoint: Checkpoint, path: tuple[str, ...], *wrong: Any) -> None:
    """Save the state with another value at `path`, or without one."""
    state = checkpoint.load()
    assert state
    inner: Any = state
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    for value in wrong:
        inner[path[-1]] = value
    checkpoint.save(state)


def is_refused(checkpoint: Checkpoint, folder: Path) -> bool:
    """Whether the training refuses its checkpoint, which it does in one line. It may go on too."""
    try:
        train(checkpoint, folder)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return True
    return False


def test_whatever_is_forged_ends_in_one_line(saved: Checkpoint, tmp_path: Path) -> None:
    state = saved.load()
    assert state
    whole, refused = saved.path.read_bytes(), 0
    for path in places(state):
        for wrong in ((), *((value,) for value in WRONG)):
            saved.path.write_bytes(whole)
            forge(saved, path, *wrong)
            refused += is_refused(saved, tmp_path)
    assert refused > 250
    saved.path.write_bytes(whole)
    assert train(saved, tmp_path).epochs


def test_the_time_before_a_stop_counts(saved: Checkpoint, tmp_path: Path) -> None:
    forge(saved, ("wall",), 5000.0)
    forge(saved, ("spent",), 700.0)
    _, second, last = train(saved, tmp_path).epochs
    assert last.seconds < 700 < second.seconds
    assert last.wall > 5000


@pytest.mark.parametrize("rest", ["[]", "x", "1", "null", '{"model": []}', "[" * 100_000])
def test_a_state_of_another_shape_is_damaged(rest: str, saved: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    tensors: dict[str, Tensor] = {"model/x": torch.zeros(1)}
    header = {"key": saved.key, "rest": rest, "sha256": checkpoints._content_digest(tensors, rest)}
    saved.path.write_bytes(save(tensors, metadata=header))
    assert saved.load() is None
    assert "ignored: it is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "row", [[], [1.0], ["x", None, 1, 1.0, 1.0], [9.0, None, 9, 0.0, 1.0], [None] * 5, {"x": 1}, 5]
)
def test_forged_epochs(row: Any, saved: Checkpoint, tmp_path: Path) -> None:
    forge(saved, ("epochs",), [row])
    assert is_refused(saved, tmp_path)
