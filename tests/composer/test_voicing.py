from __future__ import annotations

import itertools

import pytest

from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.theory import chord, tones
from sottovoce.composer.voicing import Texture, lead_voices, movement, parallel, tone_choices

TURN = ("ii9", "V13", "IM9", "VI7b9", "ii9", "bII7", "IM9", "iv9", "bVII13", "IM9", "vi9", "V9sus")


def spans_of(romans: tuple[str, ...]) -> list[ChordSpan]:
    return [
        ChordSpan(i * 4, 4, c.root, c.quality, c.bass, c.roman)
        for i, c in enumerate(chord(roman, 5) for roman in romans)
    ]


def voiced(voices: int, *, strict: bool = False) -> list[tuple[int, ...]]:
    spans = spans_of(TURN)
    return lead_voices(spans, [36 + (span.bass % 12) for span in spans], Texture(voices, 51, 75, strict=strict))


@pytest.mark.parametrize("voices", [3, 4])
def test_voices_move_little(voices: int) -> None:
    lines = voiced(voices)
    steps = [step for a, b in itertools.pairwise(lines) for step in movement(a, b)]
    assert sum(steps) / len(steps) <= 2.5
    assert max(steps) <= 9


def test_voicings_stay_in_range_and_in_the_chord() -> None:
    for span, voices in zip(spans_of(TURN), voiced(4), strict=True):
        assert all(51 <= pitch <= 75 for pitch in voices)
        assert {pitch % 12 for pitch in voices} <= set(tones(span))
        assert list(voices) == sorted(set(voices))


def test_strict_outer_voices_have_no_parallels() -> None:
    spans = spans_of(("I", "ii", "iii", "IV", "V", "vi", "IV", "V", "I"))
    basses = [48, 50, 52, 53, 55, 57, 53, 55, 48]
    lines = lead_voices(spans, basses, Texture(3, 55, 79, rootless=False, strict=True))
    outer = list(zip(basses, (line[-1] for line in lines), strict=True))
    assert not any(parallel(a, b) for a, b in itertools.pairwise(outer))


def test_parallels_are_recognised() -> None:
    assert parallel((48, 67), (50, 69))
    assert not parallel((48, 67), (50, 67))
    assert not parallel((48, 64), (50, 65))
    assert not parallel((48, 67), (48, 67))


def test_the_third_is_always_kept() -> None:
    for choice, _ in tone_choices("m9", 3, rootless=True):
        assert 3 in choice
    assert all(len(choice) == 4 for choice, _ in tone_choices("maj", 4, rootless=True))
