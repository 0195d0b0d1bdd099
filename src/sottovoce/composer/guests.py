"""Players that join a style when a prompt names their instrument and the style has nobody who plays it."""

from __future__ import annotations

from sottovoce.composer.style import Player

_BROKEN = {
    "4/4": ("0:1:1 .5:.5:2 1:1:3 2:.5:2 2.5:.5:3 3:1:2", "0:1:2 1:.5:1 1.5:.5:3 2.5:.5:2 3:.5:3"),
    "3/4": ("0:1:1 1:.5:2 1.5:.5:3 2:1:2", "0:.5:2 .5:.5:3 1:1:1 2:.5:3"),
    "6/8": ("0:.5:1 .5:.5:2 1:.5:3 1.5:.5:1 2:.5:3 2.5:.5:2", "0:1:2 1:.5:3 1.5:1:1 2.5:.5:2"),
}
_SOFT_KIT = {
    "4/4": ("K 7...............;B 5...6...5...6...", "K 7.........4.....;B 5...6...5...6..3;P ............4..."),
    "3/4": ("K 7...........;B 5...6...6...", "K 7.........3.;B 5...6...6..3;P ........4..."),
    "6/8": ("K 7.....4.....;B 5.3.4.6.3.4.", "K 7.....4...3.;B 5.3.4.6.3.4.;P ......5....."),
}
_DROPS = {"4/4": ("7|0 2.5 5", "11|1 4 8.5")}

GUESTS: dict[str, Player] = {
    "felt_piano": Player(
        "piano", "comp", "piano", (("felt_piano", 1),), 0.2, 50, 76, _BROKEN, send=0.35, voices=3, pedal=True
    ),
    "grand_piano": Player(
        "piano", "comp", "piano", (("grand_piano", 1),), 0.2, 50, 76, _BROKEN, send=0.3, voices=3, pedal=True
    ),
    "e_piano": Player("keys", "comp", "piano", (("e_piano", 1),), 0.2, 50, 74, _BROKEN, voices=3),
    "nylon_guitar": Player(
        "guitar", "comp", "guitar", (("nylon_guitar", 1),), 0.3, 48, 74, _BROKEN, pan=-0.3, voices=3, habit_ms=4
    ),
    "muted_guitar": Player(
        "guitar", "comp", "guitar", (("muted_guitar", 1),), 0.4, 50, 74, _BROKEN, pan=0.3, send=0.25, voices=3
    ),
    "upright_bass": Player("bass", "drone", "bass", (("upright_bass", 1),), 0.3, 28, 50, send=0.05),
    "electric_bass": Player("bass", "drone", "bass", (("electric_bass", 1),), 0.3, 28, 50, send=0.05),
    "sub_bass": Player("bass", "drone", "bass", (("sub_bass", 1),), 0.3, 28, 45, send=0.0),
    "flute": Player("flute", "answer", "melody", (("flute", 1),), 0.45, 62, 86, send=0.5, weight=0.9),
    "vibes": Player("vibes", "answer", "melody", (("vibes", 1),), 0.45, 60, 86, pan=0.25, send=0.5),
    "kalimba": Player("kalimba", "loop", "melody", (("kalimba", 1),), 0.35, 62, 84, _DROPS, pan=-0.3, send=0.5),
    "bell": Player("bells", "loop", "melody", (("bell", 1),), 0.35, 67, 88, _DROPS, -3, 0.3, 0.6),
    "pad_warm": Player("pad", "pad", "pads", (("pad_warm", 1),), 0.2, 50, 74, send=0.4, weight=0.8),
    "pad_dark": Player("pad", "pad", "pads", (("pad_dark", 1),), 0.2, 48, 72, send=0.4, weight=0.8),
    "choir": Player("choir", "pad", "pads", (("choir", 1),), 0.35, 53, 76, send=0.55, weight=0.75, voices=3),
    "string_ensemble": Player(
        "strings", "pad", "strings", (("string_ensemble", 1),), 0.35, 50, 79, send=0.5, weight=0.8
    ),
    "reversed_piano": Player("swells", "swell", "pads", (("reversed_piano", 1),), 0.3, 55, 79, send=0.5),
    "drum_kit_lofi": Player("drums", "kit", "drums", (("drum_kit_lofi", 1),), 0.4, 35, 81, _SOFT_KIT, send=0.12),
    "drum_kit_brush": Player("drums", "kit", "drums", (("drum_kit_brush", 1),), 0.4, 35, 81, _SOFT_KIT, send=0.15),
}

#: Roles of which a style has only one player: a named instrument takes the place over instead of joining.
SOLE_ROLES = frozenset(("bass", "kit", "lead"))
#: What a role that is named without an instrument brings in.
ROLE_GUESTS = {"kit": "drum_kit_brush", "bass": "upright_bass", "pad": "pad_warm"}
