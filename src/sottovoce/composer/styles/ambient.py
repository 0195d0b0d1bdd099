"""Ambient: slow chords that share their tones, drops that never line up, a few long notes on top; no beat."""

from sottovoce.composer.mix import MixStyle, Strip
from sottovoce.composer.style import Player, Progression, Style

_LYDIAN, _IONIAN, _MIXO = ("lydian",), ("ionian",), ("mixolydian",)
_BRIGHT = (*_LYDIAN, *_IONIAN)
_MAJOR = (*_BRIGHT, *_MIXO)
_DORIAN, _AEOLIAN = ("dorian",), ("aeolian", "phrygian", "harmonic_minor")
_MINOR = (*_DORIAN, *_AEOLIAN)

_CHORDS = {
    "4/4": ("0:4:r", "0:4:r 2:2:t", "0:4:r 3:1:t", "0:2:r 2:2:t 3:1:l"),
    "3/4": ("0:3:r", "0:3:r 2:1:t", "0:2:r 1:2:t"),
    "6/8": ("0:3:r", "0:3:r 1.5:1.5:t", "0:3:r 2.5:.5:t"),
}
_TUNES = {
    "4/4": (
        "x-------........|x-------........",
        "x-----------x---|x-----------....",
        "....x-------x---|--------........",
        "x-------x---x---|--------........",
        "x---x-------....|....x-----------",
        "x-------x-------|x---x---x-------",
    ),
    "3/4": ("x-----------|x-------....", "x-------x---|--------....", "....x---x---|x-----------"),
    "6/8": ("x-----x-----|x-----......", "x-----------|x---x-------", "..x---x-----|x-----------"),
}
_DROPS = {"4/4": ("7|0 2.5 5", "11|0 3 4.5 8", "13|0 5 6.5 10", "7|0 3.5", "11|0 6.5 7.5")}
_SLOW_DROPS = {"4/4": ("13|0 7", "11|0 4 9", "17|0 5.5 12")}
_TOMS = {
    "4/4": ("K 5...............;X 2...3...2...3...", "K 6.........3.....;X 2.1.3.1.2.1.3.1.;B ....3.......3...", "K 6......3..5.....;X 2.1.3.1.2.1.3.12;B ....4.......4..."),
    "3/4": ("K 5...........;X 2...3...3...", "K 6.......3...;X 2.1.3.1.3.1.;B ....3...3..."),
    "6/8": ("K 5...........;X 2.1.1.3.1.1.", "K 6.....3.....;X 2.1.1.3.1.1.;B ......4....."),
}  # fmt: skip

STYLE = Style(
    name="ambient",
    title="ambient",
    bpm=(52.0, 62.0, 74.0),
    modes=(("lydian", 2.0), ("ionian", 2.0), ("mixolydian", 1.0), ("dorian", 1.5), ("aeolian", 1.5)),
    major_keys=("D", "E", "A", "C", "G", "F"),
    minor_keys=("D", "E", "A", "C", "G"),
    progressions=(
        Progression("IM9|IM9|II/1|IM9", _LYDIAN, "A"),
        Progression("IM9|iii7|II/1|vi7", _LYDIAN, "BC"),
        Progression("vi9|II|IM9|iii7", _LYDIAN, "BC"),
        Progression("IM9|IVM7#11|IM9|vi9", _IONIAN, "A"),
        Progression("IM9|V/1|IVM9|Iadd9", _IONIAN, "AB"),
        Progression("vi9|IVM9|IM9|V/7", _IONIAN, "BC"),
        Progression("IVM9|iii7|vi9|IM9", _IONIAN, "BC"),
        Progression("Iadd9|bVII/1|IV/1|Iadd9", _MIXO, "A"),
        Progression("IVadd9|Iadd9|bVIIM7|IVadd9", _MIXO, "BC"),
        Progression("i(add9)|IV/1|i9|bVIIadd9", _DORIAN, "A"),
        Progression("bIIIM7|IVadd9|i9|v7", _DORIAN, "BC"),
        Progression("i(add9)|bVIM7|i9|bVII/1", _AEOLIAN, "A"),
        Progression("bVIM9|bIIIM7|bVIIadd9|i9", _AEOLIAN, "BC"),
        Progression("ivm9|i9|bVIM7|bVIIadd9", _AEOLIAN, "BC"),
        Progression("IM9|IM9", _BRIGHT, "I"),
        Progression("Iadd9|Iadd9", _MIXO, "I"),
        Progression("i(add9)|i9", _MINOR, "I"),
    ),
    cadences=(
        Progression("IVM9|V9sus|Iadd9", _IONIAN),
        Progression("IVM9|Iadd9", (*_IONIAN, *_MIXO)),
        Progression("vi9|II/1|IM9", _LYDIAN, weight=0.5),
        Progression("vi9|V9sus|IM9", _LYDIAN),
        Progression("bVIIadd9|IVadd9|Iadd9", _MIXO),
        Progression("ivm9|i(add9)", _MINOR),
        Progression("bVIM7|bVIIadd9|i(add9)", _AEOLIAN),
        Progression("bIIIM7|IVadd9|i(add9)", _DORIAN),
    ),
    turnarounds=(),
    players=(
        Player(
            "piano", "comp", "piano", (("felt_piano", 3.0), ("e_piano", 1.0), ("vibes", 0.7)), 0.0, 55, 79, _CHORDS,
            gain_db=-2.0, send=0.6, weight=0.8, voices=3, pedal=True,
        ),
        Player("pad", "pad", "pads", (("pad_warm", 2.0), ("pad_dark", 1.5)), 0.1, 50, 74, send=0.55, weight=0.95),
        Player(
            "air", "pad", "pads", (("choir", 1.5), ("string_ensemble", 1.0), ("pad_warm", 0.7)), 0.52, 57, 81,
            gain_db=-3.0, send=0.65, weight=0.85, voices=3, presence=0.85,
        ),
        Player("drone", "drone", "bass", (("sub_bass", 1.0), ("upright_bass", 0.6)), 0.34, 28, 48, gain_db=-2.0, send=0.15,
               weight=0.85),
        Player(
            "drops", "loop", "melody", (("bell", 1.5), ("kalimba", 1.5), ("vibes", 1.0)), 0.3, 67, 88, _DROPS,
            gain_db=-3.0, pan=0.3, send=0.7, weight=0.8,
        ),
        Player(
            "echoes", "loop", "guitar", (("nylon_guitar", 1.5), ("e_piano", 1.0), ("kalimba", 0.7)), 0.5, 60, 79, _SLOW_DROPS,
            gain_db=-3.0, pan=-0.35, send=0.65, weight=0.8, presence=0.7,
        ),
        Player("swells", "swell", "pads", (("reversed_piano", 1.0),), 0.4, 58, 79, gain_db=-3.0, send=0.5, presence=0.75),
        Player(
            "lead", "lead", "melody", (("felt_piano", 1.5), ("flute", 1.5), ("vibes", 1.0), ("bell", 0.7)), 0.46, 64, 86,
            _TUNES, send=0.65, weight=0.95, habit_ms=10,
        ),
        Player("drums", "kit", "drums", (("drum_kit_brush", 1.0),), 0.6, 35, 81, _TOMS, gain_db=-4.0, send=0.4, weight=0.8,
               presence=0.0),
    ),
    energies={
        "intro": 0.26, "A": 0.42, "A'": 0.55, "B": 0.72, "C": 0.62, "break": 0.32, "B'": 0.85, "A''": 0.5, "outro": 0.3,
        "whole": 0.5,
    },
    mix=MixStyle(
        drums=Strip(wet=0.8),
        bass=Strip(wet=0.0, level_db=2.0),
        harmony=Strip(wet=0.9, level_db=1.5, width=0.8, echo=0.2, drive_db=3.0),
        melody=Strip(wet=0.9, level_db=-0.5, drive_db=3.0, width=0.8, echo=0.35),
        pads=Strip(wet=0.7, width=0.9),
        high_cut=10_000.0,
        tilt_db=5.0,
        space="hall",
        reverb_seconds=5.5,
        pre_delay=0.03,
        reverb_db=0.0,
        echo_beats=1.5,
        glue_db=2.0,
    ),
    loudness=-18.0,
    chord_seconds=8.0,
    section_seconds=(14.0, 30.0),
    ring=(3.5, 5.5, 8.0),
    ritardando=0.8,
    ritardando_beats=2.0,
    lead_share=0.5,
    lead_density=1.6,
    noise_ms=9.0,
    fills=0.0,
    textures=(("tape", -47.0),),
    title_words=(
        ("Slow", "Distant", "Pale", "Weightless", "Long", "Silver", "Still", "Far", "Glass", "Northern"),
        ("Orbit", "Horizon", "Harbour", "Meridian", "Drift", "Snowfield", "Lantern", "Aurora", "Estuary", "Hours", "Plateau"),
    ),
)  # fmt: skip
