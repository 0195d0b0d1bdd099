"""Spool: the same samples again, from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, read_all
from sottovoce.tasks.spool import Spool, spooled

NOISE = np.random.default_rng(0).standard_normal((2, 10_001)).astype(np.float32)
READER = ArrayReader(Audio(NOISE, 48_000))


@pytest.mark.parametrize("size", [100, 7000, 1 << 20])
def test_what_was_spooled_is_read_as_it_was(tmp_path: Path, size: int) -> None:
    passed = np.concatenate(list(spooled(READER, tmp_path / "clip.f32", block=512)), axis=1)
    spool = Spool(tmp_path / "clip.f32", 48_000, 2)
    blocks = list(spool.blocks(size))
    assert spool.frames == 10_001
    assert all(block.shape[1] == size for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks, axis=1), NOISE)
    assert np.array_equal(read_all(spool).samples, passed)


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.OutputNotWritable):
        next(spooled(READER, tmp_path / "missing" / "clip.f32", block=512))
