from __future__ import annotations

import pytest

from sottovoce.composer.tempo import Stretch, breathing, slowing, tempo_map


@pytest.mark.parametrize(("share", "factor"), [(0.5, 1.286), (0.6, 1.224), (0.7, 1.164), (1.0, 1.0)])
def test_slowing_takes_as_much_longer_as_the_formula_says(share: float, factor: float) -> None:
    assert slowing(share) == pytest.approx(factor, abs=0.001)


def test_a_ritardando_takes_exactly_its_time() -> None:
    plain = tempo_map([Stretch(32, 80)], ritardando=1.0, over=0)
    slowed = tempo_map([Stretch(32, 80)], ritardando=0.6, over=4)
    assert plain.seconds(32) == pytest.approx(24.0)
    assert slowed.seconds(28) == pytest.approx(plain.seconds(28))
    assert slowed.seconds(32) - slowed.seconds(28) == pytest.approx(4 * 60 / 80 * slowing(0.6))
    tempi = [bpm for _, _, bpm in slowed.points[:-1]]
    assert tempi == sorted(tempi, reverse=True)


def test_beats_and_seconds_are_inverse() -> None:
    tempo = tempo_map([Stretch(16, 90), Stretch(12, 84)], ritardando=0.7, over=3)
    for beat in (0, 0.5, 15.9, 16, 20, 26.1, 28, 31):
        assert tempo.beat(tempo.seconds(beat)) == pytest.approx(beat)


def test_breathing_keeps_the_length() -> None:
    pieces = breathing(Stretch(32, 70), [4.0] * 8, 0.04)
    assert sum(piece.seconds for piece in pieces) == pytest.approx(32 * 60 / 70)
    assert max(piece.bpm for piece in pieces) / min(piece.bpm for piece in pieces) > 1.03
