from collections.abc import Callable

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.key import KeyEstimate, key, key_of

RATE = 24_000
MAJOR, MINOR = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)), ((0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7))


def chord(root: int, steps: tuple[int, ...], seconds: float, cents: float) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    pitches = [48 + root + steps[0] - 12, *(60 + root + step for step in steps)]
    hertz = [440 * 2 ** ((pitch - 69 + cents / 100) / 12) for pitch in pitches]
    tones = [np.sin(2 * np.pi * f * time) + 0.4 * np.sin(4 * np.pi * f * time) for f in hertz]
    return np.asarray((0.1 * np.sum(tones, axis=0) * np.exp(-time))[None], np.float32)


def cadence(root: int, *, minor: bool, cents: float = 0.0) -> Samples:
    return np.concatenate([chord(root, steps, 1.5, cents) for steps in (MINOR if minor else MAJOR)], axis=1)


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("root", range(12))
def test_a_cadence_gives_its_key(root: int, minor: bool) -> None:
    found = key(cadence(root, minor=minor), RATE)
    assert (found.root, found.minor) == (root, minor)
    assert found.strength > 0.7
    assert found.margin > 0


@pytest.mark.parametrize("cents", [-40, 25])
def test_the_tuning_does_not_matter(cents: float) -> None:
    assert key(cadence(2, minor=False, cents=cents), RATE).key == "D major"


@pytest.mark.parametrize(
    ("name", "root", "minor"),
    [
        ("music_calm_acoustic_1.opus", 0, False),
        ("music_nostalgic_acoustic_1.opus", 5, True),
        ("music_happy_electronic_1.opus", 9, False),
        ("music_energetic_electronic_2.opus", 7, True),
    ],
)
def test_real_music_gives_the_asked_key_or_a_related_one(
    clip: Callable[[str], Samples], name: str, root: int, minor: bool
) -> None:
    found = key(clip(name), 48_000)
    assert found.agrees(root, minor=minor)
    assert found.strength > 0.8


@pytest.mark.parametrize("frames", [0, 1, 48_000])
def test_silence_has_no_key(frames: int) -> None:
    found = key(np.zeros((2, frames), np.float32), 48_000)
    assert (found.strength, found.margin) == (0, 0)


def test_one_pitch_class_alone_is_its_own_root() -> None:
    assert key_of(np.eye(12)[4]).root == 4


def test_related_keys_agree() -> None:
    found = KeyEstimate(9, minor=True, strength=1, margin=0)
    assert found.key == "A minor"
    assert all(found.agrees(root, minor=minor) for root, minor in ((9, True), (0, False), (4, True), (2, True)))
    assert not any(found.agrees(root, minor=minor) for root, minor in ((9, False), (7, False), (11, True)))
