from __future__ import annotations

import pytest

from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.stylebook import stylebook
from sottovoce.composer.theory import MODES, avoid, chord, name, nearest, scale, scale_over, tones

C, D, EB, E, F, G, AB, A, BB, B = 0, 2, 3, 4, 5, 7, 8, 9, 10, 11


@pytest.mark.parametrize(
    ("roman", "root", "quality", "bass"),
    [
        ("I", C, "maj", C),
        ("bVIM7", AB, "maj7", AB),
        ("ivm9", F, "m9", F),
        ("V7#9", G, "7#9", G),
        ("#ivø7", 6, "m7b5", 6),
        ("V/ii", A, "maj", A),
        ("V7/vi", E, "7", E),
        ("IM9/1", C, "maj9", C),
        ("bVII/1", BB, "maj", C),
        ("I/3", C, "maj", E),
        ("i/b7", C, "min", BB),
        ("V6", G, "maj", B),
        ("ii65", D, "m7", F),
        ("i(add9)", C, "madd9", C),
        ("#io7", 1, "dim7", 1),
        ("V9sus", G, "9sus", G),
        ("I69", C, "69", C),
        ("iii7", E, "m7", E),
    ],
)
def test_romans_above_c(roman: str, root: int, quality: str, bass: int) -> None:
    found = chord(roman, 0)
    assert (found.root, found.quality, found.bass) == (root, quality, bass)


def test_romans_move_with_the_tonic() -> None:
    assert chord("bVIM7", 9).root == 5
    assert set(tones(chord("V7", 2))) == {9, 1, 4, 7}


@pytest.mark.parametrize("roman", ["", "H", "VIII", "Vx", "I/9", "iV"])
def test_what_is_no_roman_is_refused(roman: str) -> None:
    with pytest.raises(ValueError, match="this theory knows"):
        chord(roman, 0)


def test_every_numeral_of_every_style_is_known() -> None:
    for style in stylebook().values():
        for progression in (*style.progressions, *style.cadences):
            for roman in progression.romans.replace(",", "|").split("|"):
                assert chord(roman, 0).roman == roman
            assert set(progression.modes) <= set(MODES)


def test_a_foreign_chord_bends_the_scale_without_semitone_clusters() -> None:
    span = ChordSpan(0, 4, G, "7#9", G, "V7#9")
    over = scale_over(scale("aeolian", C), span)
    assert set(tones(span)) <= over
    assert B in over


def test_avoid_notes_rub() -> None:
    span = ChordSpan(0, 4, C, "maj", C, "I")
    assert F in avoid(span)
    assert D not in avoid(span)


def test_names_and_nearest() -> None:
    assert name(5, "maj9", 5) == "Fmaj9"
    assert name(9, "min", 7) == "Am/G"
    assert nearest(61, {0}) == 60
    assert nearest(62, {0, 4}) == 60
