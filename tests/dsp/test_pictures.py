from __future__ import annotations

import numpy as np
import pytest

from sottovoce.dsp.pictures import Pictures, look


def plain(*colour: int, count: int = 4) -> Pictures:
    return np.tile(np.array(colour, np.uint8), (count, 36, 64, 1))


def at(count: int, step: float = 0.5) -> np.ndarray:
    return np.arange(count) * step


def test_brightness_and_saturation_of_plain_colours() -> None:
    white, black, red = (look(plain(*colour), at(4)) for colour in ((255, 255, 255), (0, 0, 0), (255, 0, 0)))
    assert (white.brightness, white.saturation) == pytest.approx((1, 0))
    assert black.brightness == pytest.approx(0)
    assert red.saturation == pytest.approx(1)


def test_orange_is_warm_and_blue_is_cool() -> None:
    assert look(plain(250, 160, 40), at(4)).warmth > 0.7
    assert look(plain(30, 80, 240), at(4)).warmth < -0.7
    assert look(plain(128, 128, 128), at(4)).warmth == 0


def test_a_change_of_shot_is_a_cut_and_no_movement() -> None:
    seen = look(np.concatenate([plain(200, 30, 30), plain(20, 40, 220)]), at(8))
    assert seen.cuts_per_minute == pytest.approx(60 / 3.5)
    assert seen.motion == pytest.approx(0)


def test_more_movement_measures_higher() -> None:
    stripes = np.zeros((8, 36, 64, 3), np.uint8)
    stripes[:, :, ::8] = 255
    moving = np.stack([np.roll(picture, index, axis=1) for index, picture in enumerate(stripes)])
    still, moved = look(stripes, at(8)).motion, look(moving, at(8)).motion
    assert still == pytest.approx(0)
    assert moved is not None
    assert moved > 0.1


def test_pictures_far_apart_say_nothing_of_movement_and_one_says_nothing_of_cuts() -> None:
    assert look(plain(1, 2, 3), at(4, 10)).motion is None
    assert look(plain(1, 2, 3, count=1), at(1)).cuts_per_minute is None
