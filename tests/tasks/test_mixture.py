from __future__ import annotations

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio, Samples, read_all
from sottovoce.dsp.ducking import Cause, Ducking, gain_curve
from sottovoce.dsp.levels import decibels
from sottovoce.dsp.loudness import true_peak_db
from sottovoce.engines.base import Run
from sottovoce.progress import Progress
from sottovoce.tasks.mixture import Fades, Layer, Mixture, rechunked

RATE = 48_000


def sine(seconds: float, level: float, hertz: float = 440) -> Samples:
    wave = level * np.sin(2 * np.pi * hertz / RATE * np.arange(round(seconds * RATE)))
    return np.tile(wave.astype(np.float32), (2, 1))


def reader(samples: Samples) -> ArrayReader:
    return ArrayReader(Audio(samples, RATE))


def rms_db(samples: Samples, start: float, end: float) -> float:
    return decibels(float(np.sqrt(np.mean(np.square(samples[:, round(start * RATE) : round(end * RATE)])))))


def test_layers_add_up_at_their_gains_and_no_layer_is_turned_down_for_the_number_of_them() -> None:
    one, two = sine(3, 0.1), sine(3, 0.05, 300)
    mixed = read_all(Mixture((Layer(reader(one), 6.0), Layer(reader(two), -3.0)), 3 * RATE, Run())).samples
    assert np.abs(mixed - one * 10**0.3 - two * 10**-0.15).max() < 1e-5


def test_a_short_layer_ends_in_silence_and_a_long_one_is_cut() -> None:
    mixed = read_all(
        Mixture((Layer(reader(sine(1, 0.1)), 0.0), Layer(reader(sine(5, 0.1, 300)), 0.0)), 2 * RATE, Run())
    )
    assert mixed.frames == 2 * RATE
    assert mixed.samples[:, 3 * RATE // 2 :] == pytest.approx(sine(5, 0.1, 300)[:, 3 * RATE // 2 : 2 * RATE], abs=1e-5)


def test_the_music_follows_its_curve_and_its_fades() -> None:
    curve = gain_curve([Cause("speech", 4, 6)], Ducking(depth=12))
    layer = Layer(reader(sine(12, 0.1)), 0.0, curve, Fades(1, 2))
    mixed = read_all(Mixture((layer,), 12 * RATE, Run())).samples
    level = rms_db(mixed, 2, 3)
    assert rms_db(mixed, 4, 6) == pytest.approx(level - 12, abs=0.05)
    assert rms_db(mixed, 8, 9.9) == pytest.approx(level, abs=0.05)
    assert rms_db(mixed, 0.49, 0.51) == pytest.approx(level - 6, abs=0.5)
    assert rms_db(mixed, 10.99, 11.01) == pytest.approx(level - 6, abs=0.5)
    assert np.abs(mixed[:, [0, -1]]).max() < 1e-4


def test_the_sum_stays_below_the_ceiling() -> None:
    loud = Layer(reader(sine(3, 0.9)), 3.0)
    mixed = read_all(Mixture((loud, loud), 3 * RATE, Run())).samples
    assert true_peak_db(mixed, RATE) <= -1 + 0.01
    assert rms_db(mixed, 1, 2) > -6


@pytest.mark.parametrize("frames", [1, 999, RATE, 7 * RATE])
def test_blocks_have_the_size_asked_for_and_every_pass_is_the_same(frames: int) -> None:
    mixture = Mixture((Layer(reader(sine(7, 0.1)), 0.0),), frames, Run())
    blocks = list(mixture.blocks(1000))
    assert [block.shape[1] for block in blocks[:-1]] == [1000] * (len(blocks) - 1)
    assert sum(block.shape[1] for block in blocks) == frames
    assert np.array_equal(np.concatenate(blocks, axis=1), read_all(mixture).samples)


def test_mixing_stops_where_progress_says_so() -> None:
    def stop(progress: Progress) -> None:
        if progress.percent > 30:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        read_all(Mixture((Layer(reader(sine(20, 0.1)), 0.0),), 20 * RATE, Run(progress=stop)))


def test_rechunked_keeps_every_sample_in_order() -> None:
    samples = np.arange(1000, dtype=np.float32)[None]
    pieces = [samples[:, :0], samples[:, :3], samples[:, 3:900], samples[:, 900:]]
    blocks = list(rechunked(iter(pieces), 256))
    assert [block.shape[1] for block in blocks] == [256, 256, 256, 232]
    assert np.array_equal(np.concatenate(blocks, axis=1), samples)
