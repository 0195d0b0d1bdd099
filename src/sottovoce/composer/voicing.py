"""Voice leading: how the tones of each chord are spread so that every voice moves little and well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise, product

from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.theory import QUALITIES, seventh, third

Voices = tuple[int, ...]

_PARALLEL, _STRICT_PARALLEL = 14.0, 80.0


@dataclass(frozen=True)
class Texture:
    """How many voices, between which MIDI pitches, with the root left to the bass or not, and whether parallels are forbidden."""

    voices: int
    low: int
    high: int
    rootless: bool = True
    strict: bool = False

    @property
    def middle(self) -> float:
        """Where the voices like to be."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class _Change:
    """A voicing heard before, with its bass, and the bass to come."""

    voices: Voices
    bass: int
    next_bass: int
    repeats: int


def tone_choices(quality: str, voices: int, *, rootless: bool) -> tuple[tuple[tuple[int, ...], float], ...]:
    """The sets of intervals a voicing may keep, each with its cost.

    The third is always there; seventh, then tensions, fifth and root are missed in that order; a triad doubles its root or fifth.
    """
    span = ChordSpan(0, 0, 0, quality, 0, "")
    colour, top, intervals = third(span), seventh(span), QUALITIES[quality]
    others = [interval for interval in intervals if interval != colour]
    if len(intervals) < voices:
        spare = [
            (0,) * (voices - len(intervals)),
            *(((7,),) if 7 in intervals and voices - len(intervals) == 1 else ()),
        ]
        return tuple(((colour, *others, *extra), 0.3 * place) for place, extra in enumerate(spare))
    choices = []
    for chosen in combinations(others, voices - 1):
        missing = set(others) - set(chosen)
        cost = 2.5 * (top in missing) + 0.8 * sum(interval > 12 for interval in missing)
        cost += 4.0 * (0 in missing) if not rootless else 0.8 * (0 in chosen and len(intervals) > voices)
        choices.append(((colour, *chosen), cost))
    return tuple(choices)


def lead_voices(spans: Sequence[ChordSpan], basses: Sequence[int], texture: Texture) -> list[Voices]:
    """A voicing for every chord, sorted upwards; `basses` are the bass pitches under them."""
    result: list[Voices] = []
    repeats = 0
    for index, span in enumerate(spans):
        before = _Change(result[-1], basses[index - 1], basses[index], min(repeats, 3)) if result else None
        voices = _best(span.root, span.quality, before, texture)
        repeats = repeats + 1 if result and result[-1][-1] == voices[-1] else 0
        result.append(voices)
    return result


@lru_cache(maxsize=65536)
def _best(root: int, quality: str, before: _Change | None, texture: Texture) -> Voices:
    found: dict[Voices, float] = {}
    for tones, cost in tone_choices(quality, texture.voices, rootless=texture.rootless):
        places = [[p for p in range(texture.low, texture.high + 1) if p % 12 == (root + tone) % 12] for tone in tones]
        for pitches in product(*places):
            if len(set(pitches)) == len(pitches):
                voices = tuple(sorted(pitches))
                found[voices] = min(cost, found.get(voices, cost))
    return min(
        found, key=lambda voices: (found[voices] + _shape(voices, texture) + _motion(voices, before, texture), voices)
    )


def _shape(voices: Voices, texture: Texture) -> float:
    """What a voicing costs by itself: holes, clusters, mud below, distance from the middle of its register."""
    gaps = [high - low for low, high in pairwise(voices)]
    cost = 2.0 * sum(gap > 9 for gap in gaps) + 3.0 * sum(gap < 2 for gap in gaps)
    cost += 4.0 * (bool(gaps) and gaps[-1] < 3)
    cost += sum(
        20.0 * (low < 55 and gap < 3) + 20.0 * (low < 48 and gap < 5) for low, gap in zip(voices, gaps, strict=False)
    )
    cost += 6.0 * (bool(gaps) and voices[0] < 55 and gaps[0] < 4)
    return cost + 0.35 * abs(sum(voices) / len(voices) - texture.middle)


def _motion(voices: Voices, before: _Change | None, texture: Texture) -> float:
    """What it costs to come here from the voicing before."""
    if before is None:
        return 0.0
    steps = movement(before.voices, voices)
    kept = len(set(voices) & set(before.voices))
    cost = sum(steps) + 15.0 * sum(step > 7 for step in steps) - 1.0 * kept
    top = abs(voices[-1] - before.voices[-1])
    cost += -1.5 * (0 < top <= 2) + 3.0 * (top == 0 and before.repeats >= 3)
    if parallel((before.bass, before.voices[-1]), (before.next_bass, voices[-1])):
        cost += _STRICT_PARALLEL if texture.strict else _PARALLEL
    return cost


def movement(before: Voices, after: Voices) -> list[int]:
    """How far each voice moves, in semitones; voices that come or go are matched with their neighbours."""
    if len(before) == len(after):
        return [abs(a - b) for a, b in zip(after, before, strict=True)]
    return [min(abs(pitch - other) for other in before) for pitch in after]


def parallel(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether two outer voices (bass, top) move in the same direction from a fifth or octave into the same interval."""
    interval = (after[1] - after[0]) % 12
    if interval not in (0, 7) or (before[1] - before[0]) % 12 != interval:
        return False
    low, high = after[0] - before[0], after[1] - before[1]
    return low * high > 0
