from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from threading import Event

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, AudioReader, Samples, read_all
from sottovoce.progress import OnProgress, Progress, ignore
from sottovoce.tasks.side_by_side import Ahead, Aside, Overheard

NOISE = np.random.default_rng(0).standard_normal((2, 100_000)).astype(np.float32)
READER = ArrayReader(Audio(NOISE, 48_000))


class Breaking(ArrayReader):
    """Raises after a few blocks."""

    def blocks(self, frames: int) -> Iterator[Samples]:
        yield from islice(super().blocks(frames), 5)
        raise errors.Cancelled("enough")


def heard(reader: AudioReader) -> Samples:
    return read_all(reader).samples


@pytest.mark.parametrize("size", [100, 7000, 1 << 20])
def test_blocks_made_ahead_are_the_same_blocks(size: int) -> None:
    ahead = Ahead(READER)
    assert (ahead.rate, ahead.channels, ahead.frames) == (48_000, 2, 100_000)
    assert np.array_equal(np.concatenate(list(ahead.blocks(size)), axis=1), NOISE)


def test_what_the_reader_raises_is_raised_where_it_is_read() -> None:
    with pytest.raises(errors.Cancelled):
        list(Ahead(Breaking(READER.audio)).blocks(1000))


def test_a_pass_given_up_half_way_leaves_nothing_waiting() -> None:
    blocks = Ahead(READER).blocks(10)
    assert len(list(islice(blocks, 3))) == 3
    blocks.close()  # type: ignore[attr-defined]


def test_the_listener_hears_what_the_reader_gives() -> None:
    shared = Overheard(READER, heard)
    assert np.array_equal(np.concatenate(list(shared.blocks(777)), axis=1), NOISE)
    assert np.array_equal(shared.result(), NOISE)


def test_a_listener_hears_as_much_as_was_read() -> None:
    shared = Overheard(READER, heard)
    blocks = shared.blocks(1000)
    kept = list(islice(blocks, 4))
    assert np.array_equal(shared.result(), np.concatenate(kept, axis=1))


def test_a_listener_that_fails_says_so_and_does_not_hold_up_the_reader() -> None:
    def broken(_: AudioReader) -> None:
        raise errors.OutputRejected("no")

    shared = Overheard(READER, broken)
    assert sum(block.shape[1] for block in shared.blocks(10)) == 100_000
    with pytest.raises(errors.OutputRejected):
        shared.result()


def test_nothing_read_is_nothing_heard() -> None:
    with pytest.raises(ValueError, match="nothing was read"):
        Overheard(READER, heard).result()


NOW = Progress("work", 50)


def test_a_call_goes_on_beside_its_block() -> None:
    both = Event()

    def work(wanted: OnProgress) -> str:
        wanted(NOW)
        return "done" if both.wait(10) else "never met"

    with Aside(work) as aside:
        aside.watched(ignore)(NOW)
        both.set()
        assert aside.result() == "done"


def test_what_a_call_raises_stops_the_block_at_its_next_progress() -> None:
    def work(wanted: OnProgress) -> None:
        raise errors.CorruptMedia("broken")

    def block() -> None:
        with Aside(work) as aside:
            report = aside.watched(ignore)
            while True:
                report(NOW)

    with pytest.raises(errors.CorruptMedia, match="broken"):
        block()


def test_a_call_whose_block_is_left_by_an_error_ends_with_it() -> None:
    ended = Event()

    def work(wanted: OnProgress) -> None:
        try:
            while True:
                wanted(NOW)
        finally:
            ended.set()

    with pytest.raises(KeyError), Aside(work):
        raise KeyError("cancelled")
    assert ended.is_set()
