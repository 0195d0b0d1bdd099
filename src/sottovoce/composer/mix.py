"""The mixing desk: how a style is mixed, as data, and the channel strips that do it block by block.

Everything that bends the sound happens on the stems; what follows the desk is one gain curve for all, so stems add up to the mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples, Stem
from sottovoce.synth.effects import Wow, duck, saturate, widen
from sottovoce.synth.reverb import Convolver, Echo, Space, echoes, impulse
from sottovoce.synth.strike import Tone

#: Blocks are whole multiples of so many frames.
GRAIN = 1_024

# The usual place of each stem in dB, for instruments of equal loudness: pads lie under, chords behind, the rest before them.
_USUAL = {"drums": 5.5, "bass": 4.0, "harmony": -2.0, "piano": -2.0, "guitar": -3.0, "melody": 0.5, "pads": -9.0}


@dataclass(frozen=True)
class Strip:
    """The channel strip of one stem.

    `level_db` 0 is the usual place of the stem in a band; `wet` and `echo` multiply each part's own send.
    """

    level_db: float = 0.0
    wet: float = 1.0
    echo: float = 0.0
    #: Drive into soft saturation in dB; 0 leaves the stem clean.
    drive_db: float = 0.0
    #: How far the kick pushes this stem down, in dB.
    duck_db: float = 0.0
    #: Slow pitch drift of a worn tape, peak in cents.
    wow_cents: float = 0.0
    #: Stereo tremolo, depth 0-1.
    tremolo: float = 0.0
    #: Side level of the stem, 0 mono to 1.5 very wide.
    width: float = 1.0


@dataclass(frozen=True)
class MixStyle:
    """A style's mix; every style may start from these defaults and change what it needs (`dataclasses.replace`)."""

    drums: Strip = Strip(wet=0.3, drive_db=3.0)
    bass: Strip = Strip(wet=0.0, drive_db=3.0)
    harmony: Strip = Strip()
    melody: Strip = Strip(echo=0.25)
    pads: Strip = Strip(duck_db=2.0)
    texture: Strip = Strip(wet=0.0)
    #: Where the highs end, in Hz (lofi 9-13 kHz); and the slope of the whole above 1 kHz beside neutral, dB per octave.
    high_cut: float = 16_000.0
    tilt_db: float = 0.0
    #: Space: its kind, time to -60 dB, seconds before it answers, its level in dB.
    space: Literal["room", "plate", "hall"] = "plate"
    reverb_seconds: float = 1.8
    pre_delay: float = 0.018
    reverb_db: float = 0.0
    #: Time between echoes in beats.
    echo_beats: float = 0.75
    wow_hz: float = 0.6
    tremolo_hz: float = 4.6
    #: Time in which a ducked stem comes back, in seconds.
    duck_seconds: float = 0.16
    #: Most gain reduction of the slow compressor on the whole mix, in dB.
    glue_db: float = 1.5

    @property
    def tone(self) -> Tone:
        """What every sound is made with."""
        return Tone(self.high_cut, self.tilt_db)

    def strip(self, stem: Stem) -> Strip:
        """The strip of a stem; stems without their own go through the harmony's."""
        strips = {
            "drums": self.drums,
            "bass": self.bass,
            "melody": self.melody,
            "pads": self.pads,
            "texture": self.texture,
        }
        return strips.get(stem, self.harmony)


@dataclass(frozen=True, eq=False)
class Bus:
    """What the parts of a stem send in one block: dry [2, frames] and what goes to the space, [frames]."""

    dry: Samples
    send: NDArray[np.float32]

    @classmethod
    def of(cls, frames: int) -> Bus:
        """A silent one."""
        return cls(np.zeros((2, frames), np.float32), np.zeros(frames, np.float32))

    def add(self, block: Samples, send: float) -> None:
        """Add a part, and its share to what goes to the space."""
        np.add(self.dry, block, out=self.dry)
        np.add(self.send, (block[0] + block[1]) * np.float32(0.5 * send), out=self.send)


class Desk:
    """The strips and the space of a style for some stems; fed all their buses, block after block."""

    def __init__(
        self, style: MixStyle, stems: Sequence[Stem], *, beat: float, kicks: Sequence[int], frames: int
    ) -> None:
        """`beat` is its length in seconds, `kicks` are the frames of the bass drum, `frames` the length of the whole."""
        self._style, self._kicks = style, kicks
        self._strips = {stem: style.strip(stem) for stem in stems}
        self._wow = {
            stem: Wow(strip.wow_cents, style.wow_hz) for stem, strip in self._strips.items() if strip.wow_cents
        }
        self._wet = [stem for stem, strip in self._strips.items() if strip.wet or strip.echo]
        responses = [_response(style, self._strips[stem], beat) for stem in self._wet]
        self._space = Convolver(responses, frames) if responses else None
        #: How many frames every block but the last is to have.
        self.block = self._space.block // GRAIN * GRAIN if self._space else 1 << 18

    def feed(self, buses: Mapping[Stem, Bus], start: int) -> dict[Stem, Samples]:
        """Each stem's finished block [2, frames] (the buses' arrays are used up); `start` is the block's first frame."""
        out = {stem: self._dry(stem, bus.dry, start) for stem, bus in buses.items()}
        if self._space:
            wet = self._space.feed([buses[stem].send for stem in self._wet])
            for stem, returned in zip(self._wet, wet, strict=True):
                out[stem] += returned
        for stem, block in out.items():
            self._finish(stem, block, start)
        return out

    def _dry(self, stem: Stem, block: Samples, start: int) -> Samples:
        strip = self._strips[stem]
        if strip.drive_db:
            saturate(block, strip.drive_db)
        return self._wow[stem].feed(block, start) if stem in self._wow else block

    def _finish(self, stem: Stem, block: Samples, start: int) -> None:
        strip = self._strips[stem]
        if strip.width != 1.0:
            widen(block, strip.width)
        if strip.duck_db:
            duck(block, start, self._kicks, depth_db=strip.duck_db, seconds=self._style.duck_seconds)
        block *= np.float32(10 ** ((strip.level_db + _USUAL.get(stem, _USUAL["harmony"])) / 20))


def _response(style: MixStyle, strip: Strip, beat: float) -> Samples:
    """What a stem's send is answered with: the style's space, and echoes, at their levels."""
    space = Space(style.space, style.reverb_seconds, style.pre_delay)
    wet = impulse(space) * np.float32(strip.wet * 10 ** (style.reverb_db / 20))
    if not strip.echo:
        return wet
    repeats = echoes(Echo(style.echo_beats * beat)) * np.float32(strip.echo)
    out = np.zeros((2, max(wet.shape[1], repeats.shape[1])), np.float32)
    out[:, : wet.shape[1]] += wet
    out[:, : repeats.shape[1]] += repeats
    return out
