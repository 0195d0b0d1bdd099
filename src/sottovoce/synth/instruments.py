"""All instruments by name: how each sounds, how loud it is beside the others, how its notes begin and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.errors import InvalidParameter
from sottovoce.synth import bass, keys, kits, mallets, plucked, strings, winds
from sottovoce.synth.envelope import damper, fall, rise
from sottovoce.synth.strike import Strike


@dataclass(frozen=True)
class Instrument:
    """A sound and how it is played.

    `sound` makes a note without its beginning and end, which `shaped_note` gives it. `level_db` makes instruments equally loud
    at velocity 0.6 in their middle register.
    """

    sound: Callable[[Strike], Samples]
    level_db: float = 0.0
    #: Seconds from nothing to full, at the least and at the most (long notes), and seconds after the key is up.
    attack: tuple[float, float] = (0.0, 0.0)
    release: float = 0.2
    #: Ends like a damped string, not like a bow lifted.
    damped: bool = True
    #: Hits last as long as they last, whatever the note says.
    struck: bool = False
    #: Its sound depends on its exact length.
    exact: bool = False
    #: How many takes of the same note there are to choose from, and how many loudnesses it is made in.
    variants: int = 2
    layers: int = 8
    #: Depth of the chorus every such instrument is heard through, and whether the mix's tremolo applies.
    chorus: float = 0.0
    trembles: bool = False


INSTRUMENTS: Mapping[str, Instrument] = {
    "felt_piano": Instrument(keys.felt_piano, level_db=-12.0, release=0.28),
    "grand_piano": Instrument(keys.grand_piano, level_db=-12.0, release=0.25),
    "e_piano": Instrument(keys.e_piano, level_db=-15.5, release=0.16, variants=1, chorus=0.35, trembles=True),
    "reversed_piano": Instrument(keys.reversed_piano, level_db=-10.0, release=0.06, exact=True),
    "upright_bass": Instrument(bass.upright_bass, level_db=-10.5, release=0.09),
    "electric_bass": Instrument(bass.electric_bass, level_db=-11.0, release=0.07),
    "sub_bass": Instrument(bass.sub_bass, level_db=-11.5, release=0.08),
    "nylon_guitar": Instrument(plucked.nylon_guitar, level_db=-11.5, release=0.14),
    "muted_guitar": Instrument(plucked.muted_guitar, level_db=-12.5, release=0.08, variants=3),
    "flute": Instrument(winds.flute, level_db=-20.5, release=0.11, damped=False),
    "vibes": Instrument(mallets.vibes, level_db=-14.5, release=0.30, trembles=True),
    "kalimba": Instrument(mallets.kalimba, level_db=-13.0, release=0.40),
    "bell": Instrument(mallets.bell, level_db=-18.0, release=0.80),
    "pad_warm": Instrument(strings.pad_warm, level_db=-18.0, attack=(0.25, 1.2), release=1.1, damped=False),
    "pad_dark": Instrument(strings.pad_dark, level_db=-17.5, attack=(0.35, 1.6), release=1.4, damped=False),
    "choir": Instrument(strings.choir, level_db=-18.0, attack=(0.20, 0.9), release=0.9, damped=False),
    "string_ensemble": Instrument(
        strings.string_ensemble, level_db=-19.0, attack=(0.09, 0.35), release=0.35, damped=False
    ),
    "drum_kit_lofi": Instrument(kits.drum_kit_lofi, struck=True, variants=4, layers=5),
    "drum_kit_brush": Instrument(kits.drum_kit_brush, struck=True, variants=4, layers=5),
}


def instrument(name: str) -> Instrument:
    """The instrument of that name; InvalidParameter lists the ones there are."""
    if name not in INSTRUMENTS:
        raise InvalidParameter(f"no instrument is called {name!r}; choose one of {', '.join(sorted(INSTRUMENTS))}")
    return INSTRUMENTS[name]


def play(name: str, strike: Strike) -> Samples:
    """One note with its end, float32 [2, frames] at 48 kHz; `strike.seconds` is how long the key is down."""
    player = instrument(name)
    gains = np.full((2, 1), 10 ** (player.level_db / 20), np.float32)
    return shaped_note(player, player.sound(sustained(player, strike)), strike.frames, gains)


def sustained(player: Instrument, strike: Strike) -> Strike:
    """The strike with the seconds its sound needs: the length of a hit, or the note and what follows the key."""
    length = kits.hit_seconds(strike.pitch) if player.struck else strike.seconds + player.release
    return replace(strike, seconds=length)


def shaped_note(player: Instrument, body: Samples, frames: int, gains: NDArray[np.float32]) -> Samples:
    """A copy [2, n] of a sound [1 or 2, m] at `gains` [2, 1], begun and ended for a key that is down for `frames`."""
    if player.struck:
        return body * gains
    release = round(player.release * DELIVERY_RATE)
    out: Samples = body[:, : frames + release] * gains
    start = min(_attack_frames(player, frames), out.shape[1])
    if start:
        out[:, :start] *= rise(start)
    left = out.shape[1] - frames
    if left > 0:
        curve = damper(release) if player.damped else fall(release)
        out[:, frames:] *= curve[:left]
    return out


def _attack_frames(player: Instrument, frames: int) -> int:
    """A long note may begin slowly, a short one must speak at once: a third of it, within the instrument's bounds."""
    least, most = player.attack
    return round(min(max(least, 0.33 * frames / DELIVERY_RATE), most) * DELIVERY_RATE)
