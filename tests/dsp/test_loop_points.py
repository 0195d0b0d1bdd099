import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.loop_points import LoopPoint, loop_points, matched

RATE = 48_000
BEAT = 0.5


def phrases(order: str) -> Samples:
    """A tone for each letter, two seconds (four beats) long, with a click on every beat."""
    span = np.arange(round(4 * BEAT * RATE)) / RATE
    pitch = {"a": 220.0, "b": 330.0, "c": 494.0, "d": 262.0}
    beat = span % BEAT
    tick = np.sin(2 * np.pi * 80 * beat) * np.exp(-beat * 30) * 0.5
    parts = [np.sin(2 * np.pi * pitch[name] * span) * 0.2 + tick for name in order]
    return np.concatenate(parts).astype(np.float32)[None]


def beats_of(samples: Samples) -> list[float]:
    return [float(beat) for beat in np.arange(0, samples.shape[1] / RATE, BEAT)]


def test_the_best_jump_is_between_equal_places() -> None:
    music = phrases("abcdabcd")
    best = loop_points(music, RATE, beats_of(music), margin=0.3)[0]
    assert (best.end - best.start) / RATE == pytest.approx(8.0, abs=1e-6)
    assert best.score > 0.9


def test_music_that_never_comes_back_scores_low() -> None:
    music = phrases("abcd")
    points = loop_points(music, RATE, beats_of(music), margin=0.3)
    again = loop_points(phrases("abab"), RATE, beats_of(music), margin=0.3)
    assert points[0].score < again[0].score


def test_too_few_beats_give_no_jump() -> None:
    music = phrases("a")
    assert loop_points(music, RATE, beats_of(music), margin=0.1) == []


@pytest.mark.parametrize("off", [-200, 0, 150])
def test_matching_brings_the_beats_back_in_step(off: int) -> None:
    music = phrases("abcdabcd")
    exact = 8 * RATE
    found = matched(LoopPoint(4 * RATE + off, 12 * RATE, 1.0), music, RATE, beats_of(music))
    assert abs(found.end - found.start - exact) <= 2
