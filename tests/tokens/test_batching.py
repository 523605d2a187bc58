"""Windows of a token stream: every target is its input's successor, in the order that the textbook has."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lstm_lm.tokens import batching
from lstm_lm.tokens.batching import PARTITIONS, Window

NUMBERS = np.arange(200)
"""A stream whose ids are their own positions."""

sizes = st.tuples(st.integers(2, 150), st.integers(1, 8), st.integers(1, 12), st.integers(0, 20))
quick = settings(max_examples=100, deadline=None, derandomize=True)


def epoch_of(kind: str, stream: np.ndarray, batch_size: int, num_steps: int, generator: random.Random) -> list[Window]:
    """An epoch."""
    partition = PARTITIONS[kind](len(stream), batch_size, num_steps, generator)
    return [partition.window(stream, number, num_steps) for number in range(partition.windows)]


def cut(kind: str, tokens: int, batch_size: int, num_steps: int, seed: int) -> tuple[np.ndarray, list[Window]]:
    stream = NUMBERS[:tokens]
    assume(batching.windows_per_epoch(tokens, batch_size, num_steps) >= 1)
    return stream, epoch_of(kind, stream, batch_size, num_steps, random.Random(seed))


@pytest.mark.parametrize("kind", PARTITIONS)
def test_every_target_is_its_inputs_successor_and_no_input_comes_twice(kind: str) -> None:
    @quick
    @given(sizes)
    def check(size: tuple[int, int, int, int]) -> None:
        stream, windows = cut(kind, *size)
        _, batch_size, num_steps, _ = size
        assert len(windows) >= batching.windows_per_epoch(*size[:3])
        assert len(windows) <= len(stream) // (batch_size * num_steps)
        for window in windows:
            assert window.inputs.shape == window.targets.shape == (num_steps, batch_size)
            assert torch.equal(window.targets, window.inputs + 1)
            assert torch.equal(window.inputs, window.inputs[0] + torch.arange(num_steps)[:, None])
        used = torch.cat([window.inputs.flatten() for window in windows])
        assert len(used.unique()) == len(used)

    check()


def test_random_windows_are_those_of_the_textbook_s_loop() -> None:
    generator = random.Random(7)
    corpus = NUMBERS[generator.randint(0, 4) :]
    starts = list(range(0, (len(corpus) - 1) // 5 * 5, 5))
    generator.shuffle(starts)
    batches = [starts[place : place + 4] for place in range(0, len(starts) // 4 * 4, 4)]
    windows = epoch_of("random", NUMBERS, 4, 5, random.Random(7))
    expected = [[corpus[start : start + 5].tolist() for start in batch] for batch in batches]
    assert [window.inputs.T.tolist() for window in windows] == expected


@quick
@given(sizes)
def test_sequential_rows_go_on_where_they_stopped(size: tuple[int, int, int, int]) -> None:
    _, windows = cut("sequential", *size)
    assert [window.continues for window in windows] == [index > 0 for index in range(len(windows))]
    for before, after in pairwise(windows):
        assert torch.equal(after.inputs[0], before.targets[-1])
    assert 0 <= windows[0].inputs[0, 0] <= size[2]


@quick
@given(sizes)
def test_random_windows_start_afresh(size: tuple[int, int, int, int]) -> None:
    _, windows = cut("random", *size)
    assert not any(window.continues for window in windows)
    assert len(set((torch.cat([window.inputs[0] for window in windows]) % size[2]).tolist())) == 1


def test_random_windows_come_in_random_order() -> None:
    windows = epoch_of("random", NUMBERS, 4, 5, random.Random(0))
    starts = torch.cat([window.inputs[0] for window in windows]).tolist()
    assert sum(after < before for before, after in pairwise(starts)) > len(starts) / 4


class NoOffset(random.Random):
    """Draws the lowest number always."""

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002
        return a


def test_the_textbook_s_example() -> None:
    windows = epoch_of("sequential", NUMBERS[:35], 2, 5, NoOffset())
    assert [window.inputs.T.tolist() for window in windows] == [
        [[0, 1, 2, 3, 4], [17, 18, 19, 20, 21]],
        [[5, 6, 7, 8, 9], [22, 23, 24, 25, 26]],
        [[10, 11, 12, 13, 14], [27, 28, 29, 30, 31]],
    ]


@pytest.mark.parametrize(("kind", "offsets"), [("sequential", {0, 1, 2, 3}), ("random", {0, 1, 2})])
def test_every_allowed_offset_is_drawn(kind: str, offsets: set[int]) -> None:
    generator = random.Random(0)
    epochs = [epoch_of(kind, NUMBERS, 3, 3, generator) for _ in range(60)]
    assert {min(int(window.inputs.min()) for window in windows) for windows in epochs} == offsets


@pytest.mark.parametrize("kind", PARTITIONS)
def test_the_order_depends_on_the_seed_and_differs_from_epoch_to_epoch(kind: str) -> None:
    def epochs(seed: int) -> list[list]:
        generator = random.Random(seed)
        return [[window.inputs.tolist() for window in epoch_of(kind, NUMBERS, 3, 7, generator)] for _ in range(20)]

    assert epochs(1) == epochs(1)
    assert epochs(0) != epochs(1)
    assert len({str(epoch) for epoch in epochs(1)}) > 4


@pytest.mark.parametrize("kind", PARTITIONS)
def test_exactly_long_enough_is_long_enough_at_any_offset(kind: str) -> None:
    batch_size, num_steps, generator = 4, 5, random.Random(0)
    least = batch_size * num_steps + num_steps + 1
    batching.check_long_enough(least, batch_size, num_steps)
    for _ in range(40):
        assert epoch_of(kind, NUMBERS[:least], batch_size, num_steps, generator)
    with pytest.raises(ValueError, match=rf"25 tokens; .* need at least {least}: lower them or raise"):
        batching.check_long_enough(least - 1, batch_size, num_steps)


@quick
@given(st.integers(2, 60), st.integers(1, 70))
def test_the_whole_stream_in_order(tokens: int, num_steps: int) -> None:
    windows = list(batching.whole_stream(NUMBERS[:tokens], num_steps))
    assert torch.cat([window.inputs[:, 0] for window in windows]).tolist() == list(range(tokens - 1))
    assert torch.cat([window.targets[:, 0] for window in windows]).tolist() == list(range(1, tokens))
    assert [window.continues for window in windows] == [False, *[True] * (len(windows) - 1)]


@quick
@given(st.integers(2, 60), st.integers(1, 70), st.integers(1, 5))
def test_separate_windows_hold_the_whole_stream_in_order(tokens: int, num_steps: int, rows: int) -> None:
    windows = list(batching.separate_windows(NUMBERS[:tokens], num_steps, rows))
    texts = [row for window in windows for row in window.inputs.T.tolist()]
    assert texts == [list(range(tokens - 1))[start : start + num_steps] for start in range(0, tokens - 1, num_steps)]
    assert all((window.targets == window.inputs + 1).all() for window in windows)
    assert max(window.inputs.shape[1] for window in windows) <= rows
    assert not any(window.continues for window in windows)


def test_tokens_are_loaded_as_they_were_saved(tmp_path) -> None:
    np.save(tmp_path / "ids.npy", np.array([3, 255, 0], dtype=np.uint8))
    loaded = batching.load_tokens(tmp_path / "ids.npy")
    assert (loaded.dtype, loaded.tolist()) == (np.uint8, [3, 255, 0])
    assert isinstance(loaded, np.memmap)


def test_pickled_tokens_are_not_read(tmp_path) -> None:
    np.save(tmp_path / "ids.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="is damaged"):
        batching.load_tokens(tmp_path / "ids.npy")
