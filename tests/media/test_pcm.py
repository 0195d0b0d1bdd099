from __future__ import annotations

import numpy as np
import pytest

from sottovoce.media.pcm import Dither, int24, packed24


@pytest.mark.parametrize("size", [1, 64, 333])
def test_dither_does_not_depend_on_the_blocks(size: int) -> None:
    draw = np.random.default_rng(0)
    samples = draw.normal(0, 0.1, (2, 1000)).astype(np.float32)
    # Silence and 16-bit numbers in between need no noise, and must not shift the noise of what follows.
    samples[:, 300:700] = 0
    whole = Dither().int16(samples)
    dither = Dither()
    blocks = [dither.int16(samples[:, start : start + size]) for start in range(0, 1000, size)]
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)
    assert not whole[:, 300:700].any()


def test_twenty_four_bits_round_and_clip() -> None:
    step = 2.0**-23
    samples = np.array([[0.0, 0.6 * step, -0.6 * step, 1.0, -1.0, 2.0]], np.float32)
    assert int24(samples)[0].tolist() == [0, 1, -1, 2**23 - 1, -(2**23), 2**23 - 1]


def test_packed_is_interleaved_little_endian() -> None:
    samples = np.array([[1 / 2**23, 0], [-1 / 2**23, 0.5]], np.float32)
    assert packed24(samples) == b"\x01\x00\x00" + b"\xff\xff\xff" + b"\x00\x00\x00" + b"\x00\x00\x40"
