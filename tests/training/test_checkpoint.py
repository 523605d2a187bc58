"""A checkpoint is whole, of this training and of this version, or ignored."""

import os
import random
import time
from pathlib import Path

import pytest
import torch

from lstm_lm.core.atomic import replacing
from lstm_lm.training import checkpoint
from lstm_lm.training.checkpoint import Checkpoint, Tree, digest


def state() -> Tree:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(5, 4, generator=generator)
    tensors = {"weights": numbers, "of.a.layer": {"transposed": numbers.T, "ids": torch.arange(3)}}
    return {"model": tensors, "empty": torch.zeros(0), "position": 3, "epochs": [[1 / 3, None, 7], [1 / 7, 1.1, 7]]}


def assert_same(actual: Tree, expected: Tree) -> None:
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_same(actual[key], value)
        elif isinstance(value, torch.Tensor):
            assert torch.equal(actual[key], value)
            assert actual[key].dtype == value.dtype
        else:
            assert actual[key] == value


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    saved = Checkpoint(tmp_path / "checkpoints", "scratch", "key", 30)
    saved.save(state())
    return saved


def test_nothing_saved_is_nothing_to_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Checkpoint(tmp_path / "none", "scratch", "key", 30).load() is None
    assert capsys.readouterr().err == ""


def test_what_was_saved_comes_back(saved: Checkpoint) -> None:
    loaded = saved.load()
    assert loaded
    assert_same(loaded, state())


def test_any_flipped_bit_is_noticed(saved: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    whole = saved.path.read_bytes()
    bits = random.Random(0)
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << bits.randrange(8)
        saved.path.write_bytes(damaged)
        assert saved.load() is None, offset
        assert "the training starts from the beginning" in capsys.readouterr().err
    saved.path.write_bytes(whole)
    assert saved.load()


def test_any_truncation_is_noticed(saved: Checkpoint) -> None:
    whole = saved.path.read_bytes()
    for length in range(0, len(whole), 7):
        saved.path.write_bytes(whole[:length])
        assert saved.load() is None, length


def test_a_folder_in_its_place_is_ignored(saved: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    saved.path.unlink()
    saved.path.mkdir()
    assert saved.load() is None
    assert "it cannot be read" in capsys.readouterr().err


def test_another_key_in_its_place_is_ignored(saved: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    other = Checkpoint(saved.path.parent, "scratch", "another key", 30)
    other.save(state())
    other.path.replace(saved.path)
    assert saved.load() is None
    assert "it belongs to another training" in capsys.readouterr().err


def test_another_version_is_ignored(
    saved: Checkpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    newer = Checkpoint(saved.path.parent, "scratch", "key", 30)
    saved.path.replace(newer.path)
    assert newer.load() is None
    assert capsys.readouterr().err == (
        f"checkpoint {newer.path} ignored: it belongs to another training "
        "(other data, parameters, environment or code); the training starts from the beginning\n"
    )


def test_checkpoints_of_other_trainings_are_not_spoken_of(
    saved: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Checkpoint(saved.path.parent, "scratch", "another key", 30).load() is None
    assert capsys.readouterr().err == ""


def test_no_pickle_is_ever_read(saved: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weights": torch.zeros(3)}, saved.path)
    assert saved.load() is None
    assert "it cannot be read" in capsys.readouterr().err


def test_nan_is_not_saved(saved: Checkpoint) -> None:
    before = saved.path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        saved.save({**state(), "perplexity": float("nan")})
    assert saved.path.read_bytes() == before


def test_it_is_due_after_the_cadence(tmp_path: Path) -> None:
    now, later = (Checkpoint(tmp_path, "scratch", "key", cadence) for cadence in (0.05, 100))
    assert not now.due()
    time.sleep(0.06)
    assert now.due()
    assert not later.due()
    now.save({})
    assert not now.due()


def test_clearing_spares_what_others_may_come_back_to(saved: Checkpoint) -> None:
    recent, old = (Checkpoint(saved.path.parent, kind, "key", 30) for kind in ("concise", "old"))
    recent.save(state())
    old.save(state())
    half_written = saved.path.with_name(".scratch-0.safetensors.0.tmp")
    half_written.touch()
    long_ago = time.time() - checkpoint.KEEP_SECONDS - 60
    for path in (old.path, half_written):
        os.utime(path, (long_ago, long_ago))
    saved.clear()
    assert list(saved.path.parent.iterdir()) == [recent.path]


def test_a_worker_may_clear_what_another_one_writes(saved: Checkpoint) -> None:
    other = Checkpoint(saved.path.parent, "scratch", "key", 30)
    with replacing(other.path) as file:  # as `save` writes
        saved.clear()
        file.write(b"whole")
    assert other.path.read_bytes() == b"whole"
    other.clear()
    saved.clear()
    assert not other.path.exists()


def test_a_digest_tells_lists_of_parts_apart() -> None:
    assert len({digest(b"ab", b"c"), digest(b"a", b"bc"), digest(b"abc"), digest(b"abc", b""), digest()}) == 5
