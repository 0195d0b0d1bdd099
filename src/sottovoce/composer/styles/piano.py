"""Piano: one player, two hands; a singing right hand over broken chords, close and warm."""

from sottovoce.composer.mix import MixStyle, Strip
from sottovoce.composer.style import Player, Progression, Style

_MAJOR = ("ionian", "mixolydian", "lydian")
_MINOR = ("aeolian", "dorian", "harmonic_minor", "phrygian")

_LEFT = {
    "4/4": (
        "0:R:2 1:5:1 2:10:2",
        "0:R:1 1:5:1 2:10:1 3:5:1",
        "0:R:.5 .5:5:.5 1:10:1 2:5:.5 2.5:10:.5 3:5:1",
        "0:R:.5 .5:5:.5 1:8:.5 1.5:10:.5 2:12:.5 2.5:10:.5 3:8:.5 3.5:5:.5",
        "0:R:.5 .5:5:.5 1:10:.5 1.5:5:.5 2:8:.5 2.5:5:.5 3:10:.5 3.5:5:.5",
    ),
    "3/4": (
        "0:R:3 1:5:1 2:10:1",
        "0:R:1 1:10:1 2:5:1",
        "0:R:.5 .5:5:.5 1:10:1 2:5:1",
        "0:R:.5 .5:5:.5 1:8:.5 1.5:10:.5 2:8:.5 2.5:5:.5",
    ),
    "6/8": (
        "0:R:1.5 1:5:.5 1.5:10:1.5",
        "0:R:.5 .5:5:.5 1:10:.5 1.5:8:.5 2:10:.5 2.5:5:.5",
        "0:R:.5 .5:5:.5 1:8:.5 1.5:10:.5 2:8:.5 2.5:5:.5",
    ),
}
_INNER = {
    "4/4": ("1:1:t", "1.5:.5:l 3:1:l", ".5:.5:l 1.5:.5:2 2.5:.5:l 3.5:.5:2", "1:1:t 3:1:l"),
    "3/4": ("1:1:t", "1:1:t 2:1:t", "1:.5:l 1.5:.5:2 2:1:l"),
    "6/8": ("1:.5:t 2.5:.5:t", "1:.5:l 2:.5:2"),
}
_TUNES = {
    "4/4": (
        "x-----------x---|x-----------....",
        "x-----x-x---x---|x-------........",
        "x---x---x-----x-|x-----------....",
        "..x-x-x-x-------|..x-x-x-----....",
        "x-----x-x-x-x---|x-----x-x---....",
        "x---x-x-x---x-x-|x---x---x-------",
        "x-x-x---x-x-x---|x-x-x-----......",
    ),
    "3/4": (
        "x-------x---|x-------....",
        "x---x---x---|x-------x---",
        "x-----x-x---|x---x-......",
        "..x-x-x-x---|x---x-x-....",
        "x-x-x-x-x---|x-------....",
    ),
    "6/8": (
        "x-----x-----|x---x-......",
        "x---x-x---x-|x-----......",
        "x-x-x-x-----|x---x-x-....",
        "x---x-x-x-x-|x-----......",
    ),
}
_SOFT_KIT = {
    "4/4": ("K 6...............;B 4...5...4...5...", "K 7.........4.....;B 5...6...5...6..3", "K 7......3..5.....;B 5.2.6.2.5.2.6.2.;P ............4..."),
    "3/4": ("K 6...........;B 4...5...5...", "K 7.........3.;B 5...6...6..3"),
    "6/8": ("K 6...........;B 4.2.2.5.2.2.", "K 7.....4.....;B 5.3.4.6.3.4."),
}  # fmt: skip

STYLE = Style(
    name="piano",
    title="solo piano",
    bpm=(58.0, 72.0, 94.0),
    modes=(("ionian", 3.0), ("aeolian", 3.0), ("dorian", 0.6)),
    major_keys=("C", "G", "Eb", "D", "F", "Ab"),
    minor_keys=("A", "D", "F", "C", "E", "B"),
    progressions=(
        Progression("I|V6|vi|IVM7", _MAJOR, "A"),
        Progression("Iadd9|vi7|IVM7|V", _MAJOR, "A"),
        Progression("I|iii|IV|I6", _MAJOR, "A", 0.7),
        Progression("vi|IV|I|V", _MAJOR, "BC"),
        Progression("IVM7|I6|ii7|V", _MAJOR, "BC"),
        Progression("vi7|iii|IVM7|iv", _MAJOR, "BC", 0.7),
        Progression("i|bVI|bIII|bVII", _MINOR, "A"),
        Progression("i|iv65|bVIIM7|bIII", ("aeolian", "harmonic_minor"), "A", 0.7),
        Progression("i|v6|bVI|iv", _MINOR, "A"),
        Progression("bVI|bVII|i|bIII", _MINOR, "BC"),
        Progression("bIII|bVII|iv|i", _MINOR, "BC"),
        Progression("iv|i6|bVI|V", ("aeolian", "harmonic_minor"), "BC"),
        Progression("i|v6|iv6|V", ("harmonic_minor", "aeolian"), "C"),
        Progression("Iadd9|IV/1", _MAJOR, "I"),
        Progression("i|bVI", _MINOR, "I"),
    ),
    cadences=(
        Progression("ii65|V7|I", _MAJOR),
        Progression("IV|V7sus|Iadd9", _MAJOR),
        Progression("IVM7|iv|I", _MAJOR, weight=0.6),
        Progression("iv|V7|i", _MINOR),
        Progression("bVI|bVII|i", _MINOR),
        Progression("iv|v|i", _MINOR, weight=0.5),
        Progression("iv|V7|I", _MINOR, weight=0.25),
    ),
    turnarounds=("V7sus", "V"),
    players=(
        Player(
            "left hand", "figure", "piano", (("felt_piano", 3.0), ("grand_piano", 2.0)), 0.0, 33, 64, _LEFT, pan=-0.12,
            send=0.3, weight=0.8, pedal=True, habit_ms=2,
        ),
        Player(
            "right hand", "lead", "piano", (("felt_piano", 3.0), ("grand_piano", 2.0)), 0.2, 64, 86, _TUNES, pan=0.12,
            send=0.35, weight=1.08, pedal=True, habit_ms=6,
            partner="left hand",
        ),
        Player(
            "inner voice", "comp", "piano", (("felt_piano", 3.0), ("grand_piano", 2.0)), 0.55, 55, 70, _INNER, pan=0.02,
            send=0.3, weight=0.66, voices=3, pedal=True, habit_ms=4,
            partner="left hand",
        ),
        Player("octaves", "double", "piano", (("felt_piano", 3.0), ("grand_piano", 2.0)), 0.82, 58, 88, pan=0.15, send=0.35,
               weight=0.75, habit_ms=6, partner="left hand"),
        Player("drums", "kit", "drums", (("drum_kit_brush", 1.0),), 0.4, 35, 81, _SOFT_KIT, send=0.15, weight=0.8,
               presence=0.0),
    ),
    energies={
        "intro": 0.3, "A": 0.45, "A'": 0.6, "B": 0.84, "C": 0.68, "break": 0.34, "B'": 0.95, "A''": 0.58, "outro": 0.36,
        "whole": 0.56,
    },
    mix=MixStyle(
        harmony=Strip(wet=0.9, drive_db=3.0),
        melody=Strip(wet=0.9, drive_db=3.0),
        pads=Strip(wet=1.0),
        high_cut=14_000.0,
        tilt_db=3.0,
        space="room",
        reverb_seconds=1.4,
        pre_delay=0.012,
        glue_db=1.5,
    ),
    loudness=-18.0,
    meters=(("4/4", 3.0), ("3/4", 1.2), ("6/8", 0.8)),
    chord_seconds=3.0,
    ring=(2.8, 4.0, 6.0),
    ritardando=0.6,
    ritardando_beats=3.0,
    rubato=0.035,
    lead_share=0.85,
    lead_density=3.0,
    noise_ms=5.0,
    fills=0.0,
    strict=True,
    textures=(("tape", -51.0),),
    title_words=(
        ("Small", "Quiet", "First", "Unsent", "Winter", "Open", "Folded", "Left-Hand", "Evening", "Plain"),
        ("Letter", "Nocturne", "Room", "Garden", "Study", "Photograph", "Staircase", "Snow", "Waltz", "Orchard", "Promise"),
    ),
)  # fmt: skip
