"""Joins: good where music goes on as it was, bad where it stumbles."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import Samples
from sottovoce.dsp.joins import joined, judged, seam

RATE = 48_000


def music(seconds: float, *, pitch: float = 220.0, phase: float = 0.0, level: float = 0.1) -> Samples:
    """A chord with a tick every half second, the first `phase` seconds in."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = level * np.sin(2 * np.pi * pitch * time * np.array([[1], [1.25], [1.5]])).sum(axis=0)
    for at in np.arange(phase, seconds - 0.1, 0.5):
        start = round(at * RATE)
        sound[start : start + 2000] += 3 * level * np.exp(-np.arange(2000) / 200) * np.cos(np.arange(2000) * 0.8)
    return np.stack([sound, sound]).astype(np.float32)


def test_a_seam_lies_on_a_beat_of_both() -> None:
    one, other = music(20), music(20, phase=0.2)
    where = seam(one, other, RATE, start=16 * RATE, overlap=4 * RATE)
    assert abs((where.at / RATE) % 0.5 - 0.25) > 0.2
    assert abs((where.into / RATE - 0.2) % 0.5 - 0.25) > 0.2
    assert abs(where.start / RATE - 16) < 0.3


def test_music_that_goes_on_is_a_good_join() -> None:
    one, other = music(20), music(20, phase=0.2)
    where = seam(one, other, RATE, start=16 * RATE, overlap=4 * RATE)
    assert judged(joined(one, other, where), RATE, where.at).good


def test_another_chord_or_a_leap_in_level_is_a_bad_one() -> None:
    one = music(20)
    for other in (music(20, pitch=220 * 2 ** (1 / 12)), music(20, level=0.4)):
        both = np.concatenate([one, other], axis=1)
        assert not judged(both, RATE, one.shape[1]).good


def test_the_joined_length_is_that_of_both_less_what_overlaps() -> None:
    one, other = music(20), music(10)
    where = seam(one, other, RATE, start=16 * RATE, overlap=4 * RATE)
    assert joined(one, other, where).shape[1] == where.start + other.shape[1]
