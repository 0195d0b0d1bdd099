"""From notes to sound: every note placed at its frame, stem by stem, through the desk and the master; exactly as long as asked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import DELIVERY_RATE, Audio, Samples, Stem, parse_stem
from sottovoce.composer.master import TEXTURE, Finish, Master
from sottovoce.composer.mix import Bus, Desk, MixStyle
from sottovoce.composer.notation import Notation, Note, Part, TempoMap, Texture
from sottovoce.errors import InvalidParameter
from sottovoce.synth.cache import NoteCache, layered, shared
from sottovoce.synth.effects import Chorus, bend, tremolo
from sottovoce.synth.instruments import Instrument, instrument, shaped_note, sustained
from sottovoce.synth.noise import TEXTURES, bed
from sottovoce.synth.strike import Strike, Tone

_KICKS = (35, 36)


@dataclass(frozen=True, eq=False)
class Rendered:
    """The finished mix, 48 kHz stereo, and the stems that add up to it (empty unless asked for)."""

    mix: Audio
    stems: dict[Stem, Audio]


@dataclass(frozen=True)
class Hit:
    """One note as sound: its first frame, frames the key is down, the strike that serves it, gains left and right."""

    start: int
    frames: int
    strike: Strike
    left: float
    right: float
    slide: float = 0.0


def unasked(percent: float) -> None:
    """The report of those who do not ask."""


def render(
    notation: Notation,
    *,
    mix: MixStyle,
    seed: int,
    loudness: float,
    stems: bool = False,
    report: Callable[[float], None] = unasked,
) -> Rendered:
    """Play a piece: exactly `round(seconds * 48000)` frames at `loudness` LUFS (±0.1), true peaks below -1 dBTP.

    `stems` adds every stem as it stands in the mix. `report` is given percent 0-100; raising from it stops the work.
    The same notation, style and seed give the same samples. InvalidParameter for an instrument or texture there is not.
    """
    frames = round(notation.seconds * DELIVERY_RATE)
    players = [_Player(part, mix, notation.tempo, seed) for part in notation.parts if part.notes]
    whole = np.zeros((2, frames), np.float32)
    names = tuple(dict.fromkeys(player.stem for player in players))
    kept = {name: np.empty((2, frames), np.float32) for name in names} if stems else {}
    fade = _fade_seconds(notation, players)
    master = Master(Finish(loudness, mix.glue_db, fade))
    for span, blocks in _desk(notation, mix, players, names, frames):
        for name, block in blocks.items():
            whole[:, span] += block
            if stems:
                kept[name][:, span] = block
        master.hear(whole[:, span])
        report(80 * span.stop / frames)
    beds = [_Bed(texture, notation.tempo, mix.tone, frames, fade) for texture in notation.textures]
    if stems and beds:
        kept.setdefault(TEXTURE, np.zeros((2, frames), np.float32))
    master.apply(whole, kept, lambda first, count: _laid(beds, first, count))
    report(100)
    return Rendered(
        Audio(whole, DELIVERY_RATE), {name: Audio(samples, DELIVERY_RATE) for name, samples in kept.items()}
    )


def _desk(
    notation: Notation, mix: MixStyle, players: list[_Player], names: tuple[Stem, ...], frames: int
) -> Iterator[tuple[slice, Mapping[Stem, Samples]]]:
    """Every block of every stem as it leaves the desk, and which frames it covers."""
    cache = NoteCache()
    kicks = sorted(hit.start for player in players for hit in player.kicks())
    beat = notation.tempo.seconds(1.0) - notation.tempo.seconds(0.0)
    desk = Desk(mix, names, beat=beat, kicks=kicks, frames=frames)
    for start in range(0, frames, desk.block):
        length = min(desk.block, frames - start)
        buses = {name: Bus.of(length) for name in names}
        for player in players:
            player.feed(buses[player.stem], start, cache)
        yield slice(start, start + length), desk.feed(buses, start)


class _Player:
    """A part being played: its hits in order, the notes that sound on from block to block, its own chorus and tremolo."""

    def __init__(self, part: Part, mix: MixStyle, tempo: TempoMap, seed: int) -> None:
        self._part, self._mix = part, mix
        self._instrument = instrument(part.instrument)
        self.stem = parse_stem(part.stem)
        self.hits = _hits(part, self._instrument, tempo, mix.tone, seed)
        self._next = 0
        self._sounding: list[tuple[int, Samples]] = []
        self._chorus = Chorus(self._instrument.chorus) if self._instrument.chorus else None

    def kicks(self) -> list[Hit]:
        """The hits that other stems give way to."""
        return [hit for hit in self.hits if hit.strike.pitch in _KICKS] if self._instrument.struck else []

    def feed(self, bus: Bus, start: int, cache: NoteCache) -> None:
        """Add one block of the part to its stem's bus."""
        block = self._place(bus.dry.shape[1], start, cache)
        if block is None:
            return
        strip = self._mix.strip(self.stem)
        if self._instrument.trembles and strip.tremolo:
            tremolo(block, start, depth=strip.tremolo, hz=self._mix.tremolo_hz)
        if self._chorus:
            self._chorus.feed(block, start)
        bus.add(block, self._part.send)

    def _place(self, frames: int, start: int, cache: NoteCache) -> Samples | None:
        """One block of all that sounds, or nothing; the chorus needs its silence too."""
        end = start + frames
        while self._next < len(self.hits) and self.hits[self._next].start < end:
            hit = self.hits[self._next]
            self._sounding.append((hit.start, _note(self._part.instrument, self._instrument, hit, cache)))
            self._next += 1
        if not self._sounding and not self._chorus:
            return None
        block = np.zeros((2, frames), np.float32)
        for at, note in self._sounding:
            first, last = max(at, start), min(at + note.shape[1], end)
            block[:, first - start : last - start] += note[:, first - at : last - at]
        self._sounding = [(at, note) for at, note in self._sounding if at + note.shape[1] > end]
        return block


def _note(name: str, player: Instrument, hit: Hit, cache: NoteCache) -> Samples:
    body = cache.sound(name, hit.strike)
    if hit.slide:
        body = bend(body, hit.slide)
    return shaped_note(player, body, hit.frames, np.array([[hit.left], [hit.right]], np.float32))


def _hits(part: Part, player: Instrument, tempo: TempoMap, tone: Tone, seed: int) -> list[Hit]:
    """The notes of a part in time and as loud as they are to be."""
    rng = np.random.default_rng((seed, zlib.crc32(part.name.encode())))
    notes = sorted(part.notes, key=lambda note: (note.start + note.shift, note.pitch))
    starts = _seconds(tempo, [note.start for note in notes])
    lengths = _seconds(tempo, [note.start + note.length for note in notes]) - starts
    takes = _takes(notes, starts, player, rng)
    wanted = [
        Strike(note.pitch, float(length), note.velocity / 127, take, tone)
        for note, length, take in zip(notes, lengths, takes, strict=True)
    ]
    strikes = [layered(sustained(player, strike), player.layers) for strike in wanted]
    served = strikes if player.exact else shared(strikes)
    angle = np.pi / 4 * (1 + np.clip(part.pan, -1, 1))
    level = np.sqrt(2) * 10 ** (part.gain_db / 20)
    hits = []
    for note, start, asked, strike in zip(notes, starts, wanted, served, strict=True):
        gain = level * asked.velocity / strike.velocity
        frame = max(0, round((start + note.shift) * DELIVERY_RATE))
        hits.append(Hit(frame, asked.frames, strike, gain * np.cos(angle), gain * np.sin(angle), note.slide))
    return sorted(hits, key=lambda hit: hit.start)


def _takes(
    notes: Sequence[Note], starts: NDArray[np.float64], player: Instrument, rng: np.random.Generator
) -> list[int]:
    """Which take each note is: never the one just heard on the same pitch, the first again once that is forgotten."""
    heard: dict[int, tuple[float, int]] = {}
    takes = []
    for note, start in zip(notes, starts, strict=True):
        when, last = heard.get(note.pitch, (-1e9, -1))
        take = _other(last, player.variants, rng) if start - when < _MEMORY else 0
        heard[note.pitch] = (float(start), take)
        takes.append(take)
    return takes


# Seconds after which nobody remembers how exactly a note sounded.
_MEMORY = 1.5


def _other(last: int, count: int, rng: np.random.Generator) -> int:
    """One of `count` takes, not the last one."""
    return (last + 1 + int(rng.integers(max(1, count - 1)))) % count


def _seconds(tempo: TempoMap, beats: list[float]) -> NDArray[np.float64]:
    """When each beat sounds."""
    at, start, bpm = np.array(tempo.points, np.float64).T
    beat = np.asarray(beats)
    point = np.maximum(0, np.searchsorted(at, beat, side="right") - 1)
    return np.asarray(start[point] + (beat - at[point]) * 60 / bpm[point])


def _fade_seconds(notation: Notation, players: list[_Player]) -> float:
    """The last quarter of what rings after the last onset."""
    last = max((hit.start for player in players for hit in player.hits), default=0) / DELIVERY_RATE
    return float(np.clip(0.25 * (notation.seconds - last), 0.25, 1.5))


class _Bed:
    """A texture in time: where it begins and ends, its level, and how it comes and goes."""

    def __init__(self, texture: Texture, tempo: TempoMap, tone: Tone, frames: int, fade: float) -> None:
        if texture.kind not in TEXTURES:
            raise InvalidParameter(
                f"no texture is called {texture.kind!r}; choose one of {', '.join(sorted(TEXTURES))}"
            )
        self._kind, self._tone = texture.kind, tone
        self._level = np.float32(10 ** (texture.level_db / 20))
        start, end = _seconds(tempo, [texture.start, texture.end]) * DELIVERY_RATE
        self._start, self._end = max(0, round(start)), min(frames, round(end))
        if frames - self._end < DELIVERY_RATE:
            self._end = frames
        self._corners = (self._start, self._start + 0.4 * DELIVERY_RATE, self._end - fade * DELIVERY_RATE, self._end)

    def add(self, out: Samples, start: int) -> None:
        """Add what sounds of it in a block."""
        first, last = max(start, self._start), min(start + out.shape[1], self._end)
        if first >= last:
            return
        curve = np.interp(np.arange(first, last), self._corners, (0, 1, 1, 0)).astype(np.float32)
        curve *= curve * self._level
        out[:, first - start : last - start] += bed(self._kind, first, last - first, self._tone) * curve


def _laid(beds: list[_Bed], start: int, frames: int) -> Samples | None:
    """One block of all textures together, or nothing."""
    if not beds:
        return None
    out = np.zeros((2, frames), np.float32)
    for one in beds:
        one.add(out, start)
    return out
