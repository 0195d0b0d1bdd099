"""Audio values, readers and stem names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio import STEMS, ArrayReader, ArrayWriter, Audio, Pieces, Stem, parse_stem, read_all


def noise(frames: int) -> Audio:
    return Audio(np.random.default_rng(1).standard_normal((2, frames)).astype(np.float32), 44_100)


@given(st.integers(0, 500), st.integers(1, 600))
def test_blocks_put_together_are_the_whole(frames: int, size: int) -> None:
    audio = noise(frames)
    reader = ArrayReader(audio)
    blocks = list(reader.blocks(size))
    assert all(0 < block.shape[1] <= size for block in blocks)
    assert np.array_equal(read_all(reader).samples, audio.samples)


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 60), st.lists(st.integers(0, 50), max_size=12))
def test_pieces_of_other_sizes_are_the_same_stream(frames: int, size: int, sizes: list[int]) -> None:
    audio = noise(frames)
    pieces = Pieces(ArrayReader(audio).blocks(size), 2)
    taken = [pieces.take(count) for count in [*sizes, frames]]
    assert np.array_equal(np.concatenate(taken, axis=1), audio.samples)
    assert pieces.take(1).shape == (2, 0)


def test_writer_keeps_a_copy_of_each_block() -> None:
    writer, block = ArrayWriter(48_000), np.ones((2, 3), np.float32)
    writer.write(Stem("vocals"), block)
    block[:] = 0
    writer.write(Stem("vocals"), block)
    assert writer.stems()[Stem("vocals")].samples.tolist() == [[1, 1, 1, 0, 0, 0]] * 2


@pytest.mark.parametrize("stem", STEMS)
def test_stems_and_their_rests_are_names(stem: Stem) -> None:
    assert parse_stem(stem.upper().replace("_", "-")) == stem
    assert parse_stem(f"no_{stem}") == f"no_{stem}"


def test_an_unknown_stem_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="vocals, drums, bass"):
        parse_stem("kazoo")
