"""The sketch that every writer of notes reads: plan, form, chords with their bass notes, and who plays when."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sottovoce.composer.arrangement import Turn, Turns
from sottovoce.composer.form import Bar, Form
from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.plan import Plan
from sottovoce.composer.style import Player
from sottovoce.composer.theory import scale, scale_over
from sottovoce.composer.voicing import Texture, Voices, lead_voices

_NEAR = 1e-6
_BASS_LOW, _BASS_HIGH, _BASS_HOME = 30, 48, 38


@dataclass(frozen=True)
class Sketch:
    """Everything settled before the notes; `basses` has the bass pitch of each chord."""

    plan: Plan
    form: Form
    chords: tuple[ChordSpan, ...]
    basses: tuple[int, ...]
    turns: Turns

    @cached_property
    def _starts(self) -> list[float]:
        return [span.start for span in self.chords]

    def turns_of(self, player: Player) -> tuple[Turn, ...]:
        """The stretches in which a player plays."""
        return self.turns.get(player.name, ())

    def bars_of(self, player: Player) -> Iterator[tuple[Turn, Bar]]:
        """The bars in which a player plays."""
        for turn in self.turns_of(player):
            for bar in turn.section.bars:
                if bar.start >= turn.start - _NEAR:
                    yield turn, bar

    def chord_index(self, beat: float) -> int:
        """Which chord sounds on a beat."""
        return max(0, bisect_right(self._starts, beat + _NEAR) - 1)

    def chord_at(self, beat: float) -> ChordSpan:
        """The chord that sounds on a beat."""
        return self.chords[self.chord_index(beat)]

    def changes(self, start: float, end: float) -> list[float]:
        """Beats in [start, end) on which a chord begins."""
        first, last = bisect_left(self._starts, start - _NEAR), bisect_left(self._starts, end - _NEAR)
        return self._starts[first:last]

    def scale_at(self, beat: float) -> frozenset[int]:
        """The scale over the chord that sounds on a beat."""
        return scale_over(scale(self.plan.mode, self.plan.key.root), self.chord_at(beat))

    def ends(self, player: Player) -> bool:
        """Whether a player is there at the end and plays the last chord."""
        turns = self.turns_of(player)
        return bool(turns) and turns[-1].end >= self.form.final - _NEAR

    def voicings(self, player: Player) -> list[Voices]:
        """A voicing of every chord for a player."""
        shift = min(2, max(-2, self.plan.mood.register))
        low, high = max(48, player.low + shift), player.high + shift
        has_bass = any(other.role in ("bass", "drone", "figure") for other in self.plan.cast)
        texture = Texture(player.voices, low, high, rootless=has_bass, strict=self.plan.style.strict)
        return lead_voices(self.chords, self.basses, texture)


def bass_line(chords: tuple[ChordSpan, ...]) -> tuple[int, ...]:
    """A bass pitch for each chord, near the one before and not far from home; the last one is as low as it can be."""
    line: list[int] = []
    for index, span in enumerate(chords):
        places = [pitch for pitch in range(_BASS_LOW, _BASS_HIGH + 1) if pitch % 12 == span.bass]
        before = line[-1] if line else _BASS_HOME
        last = index == len(chords) - 1
        line.append(min(places, key=lambda p: (0.0 if last else abs(p - before) + 0.4 * abs(p - _BASS_HOME), p)))
    return tuple(line)
