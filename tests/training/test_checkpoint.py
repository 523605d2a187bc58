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


def test_the_last_state_of_a_finished_training_stays(saved: Checkpoint) -> None:
    saved.finish("0123abcd")
    again, other = (Checkpoint(saved.path.parent, "scratch", key, 30) for key in ("key", "another key"))
    loaded = again.load()
    assert loaded
    assert_same(loaded, state())
    assert other.load() is None
    other.save(state())
    assert again.load(), "it stays while another training runs"
    other.finish("4567cdef")
    assert again.load() is None
    assert other.load()


def test_the_last_state_goes_when_its_result_is_stored(saved: Checkpoint) -> None:
    saved.finish("0123abcd")
    saved.drop_stored("md5: 89ab4567")
    assert saved.load()
    saved.drop_stored("md5: 0123abcd")
    assert saved.load() is None


def test_a_kill_while_a_training_is_finished_loses_no_state(saved: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.path.with_name("scratch-0000.finished").touch()

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", kill)
    with pytest.raises(KeyboardInterrupt):
        saved.finish("0123abcd")
    assert saved.load()


def test_no_other_training_is_touched(saved: Checkpoint) -> None:
    paused, of_another_kind = Checkpoint(saved.path.parent, "scratch", "another key", 30), saved.path.with_name("note")
    paused.save(state())
    of_another_kind.touch()
    for path in (paused.path, of_another_kind):
        os.utime(path, (0, 0))
    saved.finish("0123abcd")
    assert paused.load()
    assert of_another_kind.exists()


def test_a_link_in_the_place_of_the_folder_is_refused(saved: Checkpoint, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(saved.path.parent)
    with pytest.raises(
        ValueError, match=rf"^{link} is a symbolic link, and trainings remove files in it: put a folder"
    ):
        Checkpoint(link, "scratch", "key", 30)


def test_a_worker_may_finish_what_another_one_writes(saved: Checkpoint) -> None:
    other = Checkpoint(saved.path.parent, "scratch", "key", 30)
    with replacing(other.path) as file:  # as `save` writes
        saved.finish("0123abcd")
        file.write(b"whole")
    assert other.path.read_bytes() == b"whole"
    other.finish("0123abcd")
    saved.finish("0123abcd")
    assert not other.path.exists()


def test_what_a_kill_left_goes_when_the_training_is_finished(saved: Checkpoint) -> None:
    saved.path.with_name(f".{saved.path.name}.01234567.tmp").touch()
    saved.finish("0123abcd")
    assert list(saved.path.parent.glob(".*")) == []


def test_a_digest_tells_lists_of_parts_apart() -> None:
    assert len({digest(b"ab", b"c"), digest(b"a", b"bc"), digest(b"abc"), digest(b"abc", b""), digest()}) == 5
