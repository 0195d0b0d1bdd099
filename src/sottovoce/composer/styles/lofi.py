"""Lofi: dusty beats, extended chords on a soft keyboard, a short tune that comes and goes."""

from sottovoce.composer.mix import MixStyle, Strip
from sottovoce.composer.style import Player, Progression, Style

_MAJOR = ("ionian", "mixolydian")
_DORIAN, _AEOLIAN = ("dorian",), ("aeolian", "harmonic_minor")
_MINOR = (*_DORIAN, *_AEOLIAN)

_GROOVES = {
    "4/4": (
        "K 9......5..8.....;S ....8.......8..2;H 6...5...6...5.4.",
        "K 9......5..8.....;S ....8.......8..2;H 6.3.5.3.6.3.5.42",
        "K 9..4...5..8.....;S ....8..2....8...;H 6.5.6.5.6.5.6.5.",
        "K 9......5..8..4..;S ....8.......8.2.;H 6.3.5.3.6.3.5.4.;O ..............4.",
        "K 9..5....5.8.....;S ....9..2.2..9...;H 64536.5364536.53;O ......4.........",
    ),
    "3/4": (
        "K 9.......4...;S ....7...7..2;H 6...5...5.4.",
        "K 9.....5.....;S ....8...6...;H 6.3.5.3.5.42",
        "K 9..4......5.;S ....8...7..2;H 6.5.6.5.6.5.",
        "K 9.....5...4.;S ....8..27...;H 64536.536453;O ..........4.",
    ),
    "6/8": (
        "K 9.....4.....;S ......8.....;H 6.3.4.5.3.4.",
        "K 9...4.......;S ......8...2.;H 6.3.4.6.3.4.",
        "K 9.....4...5.;S ......8.....;H 6.4.4.6.4.4.;O ..........4.",
        "K 9...4...5...;S ......8..2..;H 643.4.643.42",
    ),
}
_BASS = {
    "4/4": (
        "0:R:3.4",
        "0:R:2.2 2.5:R:1.2",
        "0:R:1.5 2.5:5:.5 3.5:a:.5",
        "0:R:1.5 2.5:8:.5 3:5:.75",
        "0:R:1 1.5:R:.5 2.5:5:.5 3:8:.4 3.5:a:.5",
    ),
    "3/4": ("0:R:2.6", "0:R:1.8 2:5:.9", "0:R:1.5 1.5:5:.5 2.5:a:.5", "0:R:1 1:8:.5 2:5:.5 2.5:a:.5"),
    "6/8": ("0:R:2.6", "0:R:1.4 1.5:5:1.2", "0:R:1 1:8:.4 1.5:5:.9 2.5:a:.5", "0:R:.9 1:R:.4 1.5:8:.9 2.5:a:.5"),
}
_COMP = {
    "4/4": (
        "0:3.4:r",
        "0:2.2:r 2.5:1.2:c",
        "0:1.5:r 1.5:.4:t 2.5:1.2:c",
        "0:1.2:r 1.75:.9:c 3:.7:t",
        "0:.9:r 1.5:.6:t 2.5:.8:c 3.5:.4:t",
    ),
    "3/4": ("0:2.6:r", "0:1.8:r 2:.8:t", "0:1.2:r 1.5:1.2:c", "0:.8:r 1:.7:t 2:.7:c"),
    "6/8": ("0:2.6:r", "0:1.4:r 1.5:1.2:c", "0:1:r 1:.4:t 1.5:.9:c 2.5:.4:t", "0:.9:r 1:.4:t 2:.9:c"),
}
_GUITAR = {
    "4/4": ("1:.5:2 1.5:.5:3 3:.5:2 3.5:.5:1", ".5:.5:1 1:.5:3 1.5:.5:2 2.5:.5:1 3:.5:3", "1:.3:t 2.75:.3:t 3.25:.3:t"),
    "3/4": (".5:.5:1 1:.5:2 1.5:.5:3 2.5:.5:2", "1:.4:t 2:.4:t"),
    "6/8": (".5:.5:1 1:.5:2 2:.5:3 2.5:.5:2", "1:.4:t 2.5:.4:t"),
}
_TUNES = {
    "4/4": (
        "..x-x---x-----..|................",
        "x--x--x---......|..x-x---........",
        "....x-x-x---x---|--..............",
        "x-x-x---..x-x---|x-----..........",
        "..x-x-x-x---....|..x-x-x---......",
        "x--x--x-..x-x---|..x-x-x-----....",
        "x---x-x-..x-x-x-|x---x---........",
        "..xxx-x-..x-x---|x-x-x--x--......",
    ),
    "3/4": (
        "x---x---x---|x-------....",
        "..x-x-x-x---|--..x-x-....",
        "x-----x-x---|..x-x-......",
        "x-x-x-x-----|..x-x-x-....",
    ),
    "6/8": (
        "x---x-x-----|x---x-......",
        "..x-x-x---x-|x-----......",
        "x-x-x-x-----|..x-x-......",
        "x-----x-x-x-|x---x-......",
    ),
}

STYLE = Style(
    name="lofi",
    title="lofi",
    bpm=(68.0, 78.0, 90.0),
    modes=(("ionian", 3.0), ("dorian", 2.0), ("aeolian", 2.0)),
    major_keys=("F", "Eb", "Bb", "Ab", "C", "Db"),
    minor_keys=("D", "G", "C", "F", "A", "E"),
    progressions=(
        Progression("IM9|vi9|ii9|V9sus", _MAJOR, "A"),
        Progression("IM9|iii7|IVM9|V13sus", _MAJOR, "A"),
        Progression("ii9|V13|IM9|VI7b9", _MAJOR, "AB"),
        Progression("IVM9|iii7|ii9|V13sus", _MAJOR, "BC"),
        Progression("vi9|IVM9|IM9|V9sus", _MAJOR, "BC"),
        Progression("IVM9|iv9|IM9|vi9", _MAJOR, "BC"),
        Progression("i9|IV9|i9|IV13", _DORIAN, "A"),
        Progression("i9|bIIIM7|IV9|bVIIM7", _DORIAN, "AB"),
        Progression("ii7|v7|i9|IV9", _DORIAN, "BC"),
        Progression("bIIIM7|IV9|i9|bVIIM7", _DORIAN, "BC"),
        Progression("i9|bVIM7|ivm9|V7#9", _AEOLIAN, "A"),
        Progression("i9|ivm9|bVIM7|v7", _AEOLIAN, "A"),
        Progression("bVIM9|v7|i9|i9", _AEOLIAN, "BC"),
        Progression("ivm9|bVII13|bIIIM7|bVIM7", _AEOLIAN, "BC"),
        Progression("IM9|vi9", _MAJOR, "I"),
        Progression("i9|IV9", _DORIAN, "I"),
        Progression("i9|bVIM7", _AEOLIAN, "I"),
    ),
    cadences=(
        Progression("ii9|V13|I69", _MAJOR),
        Progression("iv9|bVII13|IM9", _MAJOR, weight=0.6),
        Progression("ii7|V7b9|i9", _MINOR),
        Progression("bVIM7|V7#9|i69", _MINOR, weight=0.7),
        Progression("ivm9|v7|i9", _MINOR, weight=0.7),
    ),
    turnarounds=("V9sus", "V13", "bII7", "V7b9"),
    players=(
        Player(
            "keys", "comp", "piano", (("e_piano", 3.0), ("felt_piano", 2.0)), 0.0, 50, 72, _COMP, send=0.3, habit_ms=5
        ),
        Player(
            "bass", "bass", "bass", (("upright_bass", 2.0), ("electric_bass", 2.0), ("sub_bass", 0.7)), 0.3, 28, 50,
            _BASS, send=0.03, habit_ms=7,
        ),
        Player("drums", "kit", "drums", (("drum_kit_lofi", 5.0), ("drum_kit_brush", 0.6)), 0.42, 35, 81, _GROOVES, send=0.12),
        Player(
            "lead", "lead", "melody",
            (("felt_piano", 2.0), ("flute", 1.5), ("vibes", 1.5), ("nylon_guitar", 1.5), ("kalimba", 0.7), ("e_piano", 1.0)),
            0.48, 65, 84, _TUNES, send=0.45, habit_ms=9,
        ),
        Player("pad", "pad", "pads", (("pad_warm", 3.0), ("pad_dark", 1.0), ("string_ensemble", 0.7)), 0.6, 50, 72,
               gain_db=-2.0, send=0.45, weight=0.85, voices=3, presence=0.85),
        Player(
            "guitar", "comp", "guitar", (("muted_guitar", 2.0), ("nylon_guitar", 1.0)), 0.7, 53, 77, _GUITAR,
            gain_db=-1.0, pan=-0.38, send=0.3, weight=0.8, voices=3, habit_ms=4, presence=0.7,
        ),
        Player(
            "answer", "answer", "melody", (("vibes", 1.0), ("bell", 1.0), ("kalimba", 1.0)), 0.62, 67, 88, _TUNES,
            gain_db=-2.0, pan=0.34, send=0.55, weight=0.85, habit_ms=6, presence=0.8,
        ),
    ),
    energies={
        "intro": 0.28, "A": 0.5, "A'": 0.64, "B": 0.85, "C": 0.72, "break": 0.38, "B'": 1.0, "A''": 0.66, "outro": 0.36,
        "whole": 0.66,
    },
    mix=MixStyle(
        drums=Strip(wet=0.0, drive_db=3.0),
        bass=Strip(wet=0.0, drive_db=2.0, duck_db=2.0),
        harmony=Strip(wow_cents=8.0, tremolo=0.18, drive_db=2.0),
        melody=Strip(echo=0.3),
        pads=Strip(duck_db=2.0, width=1.2),
        high_cut=12_000.0,
        tilt_db=0.6,
        space="plate",
        reverb_seconds=1.8,
        wow_hz=0.6,
    ),
    loudness=-15.0,
    swing=0.57,
    swing_unit=0.25,
    chord_seconds=3.0,
    lead_share=0.52,
    lead_density=3.3,
    textures=(("vinyl", -42.0),),
    title_words=(
        ("Late", "Slow", "Soft", "Half-Lit", "Faded", "Borrowed", "Paper", "Amber", "Quiet", "Loose", "Dusty", "Second"),
        ("Window", "Notebook", "Tram", "Lamplight", "Rooftop", "Postcard", "Side Street", "Cassette", "Kettle", "Balcony",
         "Platform", "Bookshop", "Sunday", "Corridor"),
    ),
)  # fmt: skip
