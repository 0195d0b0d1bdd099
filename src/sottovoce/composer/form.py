"""Form: sections with bars and energy that fill a length exactly, on a tempo map; edges on cues where tempo allows."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from sottovoce.composer.fitting import CueFit, Room, fit_cues
from sottovoce.composer.notation import TempoMap
from sottovoce.composer.plan import Plan
from sottovoce.composer.tempo import Stretch, breathing, tempo_map

#: Below these lengths a piece is one gesture, or two halves; above, it has an intro and an outro.
_GESTURE_SECONDS, _HALVES_SECONDS = 9.0, 20.0
_SEQUENCES: dict[int, str] = {
    1: "B",
    2: "A B",
    3: "A B A''",
    4: "A A' B A''",
    5: "A A' B break A''",
    6: "A A' B break C A''",
    7: "A A' B break C B' A''",
    8: "A A' B break C A' B' A''",
}
_LONG_HEAD = "A A' B break"
_LONG_CYCLE = "C A' B' break A C B break"
_ACCENT_SECONDS = 0.06


@dataclass(frozen=True)
class Bar:
    """A bar: first beat, beats, and its place in the section."""

    start: float
    beats: float
    place: int

    @property
    def end(self) -> float:
        """The beat on which the next one begins."""
        return self.start + self.beats


@dataclass(frozen=True)
class Section:
    """A section: name (`A'` is A varied), energy 0-1, bars."""

    name: str
    energy: float
    bars: tuple[Bar, ...]

    @property
    def letter(self) -> str:
        """The material it is made of: A, B, C or I for the edges and breaks."""
        return self.name[0] if self.name[0] in "ABC" else "I"

    @property
    def start(self) -> float:
        """First beat."""
        return self.bars[0].start

    @property
    def end(self) -> float:
        """The beat behind its last bar."""
        return self.bars[-1].end


@dataclass(frozen=True)
class Form:
    """Sections up to the last chord, which begins on beat `final` and rings for `ring` seconds; cues met, in seconds."""

    sections: tuple[Section, ...]
    tempo: TempoMap
    final: float
    ring: float
    cues_met: tuple[float, ...]
    #: Beats of cues on which no section begins: they get an accent.
    accents: tuple[float, ...]

    @cached_property
    def _starts(self) -> list[float]:
        return [section.start for section in self.sections]

    @property
    def bars(self) -> tuple[Bar, ...]:
        """All bars in order."""
        return tuple(bar for section in self.sections for bar in section.bars)

    def section_at(self, beat: float) -> Section:
        """The section that sounds on a beat."""
        index = bisect_right(self._starts, beat + 1e-6) - 1
        return self.sections[max(0, index)]


def fit_form(plan: Plan) -> Form:
    """The form of a plan; the last chord and its ring end at exactly `plan.seconds`."""
    fit = fit_cues(plan.seconds, plan.cues, _room(plan))
    bars = [_bars_of(stretch.beats, plan.meter.beats) for stretch in fit.stretches]
    names, parts = _parts(bars, plan, fit)
    sections = _sections(names, parts, plan)
    final = sections[-1].end
    tempo = _tempo(plan, fit, bars)
    return Form(sections, tempo, final, plan.seconds - tempo.seconds(final), fit.met, _accents(plan, fit, tempo))


def _room(plan: Plan) -> Room:
    style = plan.style
    beats = min(style.ritardando_beats, plan.seconds * plan.tempo / 60 / 6)
    return Room(plan.tempo, plan.free, plan.meter, style.ring, style.ritardando, beats)


def _bars_of(beats: float, bar: float) -> list[float]:
    """Lengths of the bars of a stretch; what is left over makes the last one shorter, or longer by a single beat."""
    count = int(beats / bar + 1e-6)
    rest = beats - count * bar
    bars = [bar] * count
    if rest > 1.25 or (rest > 1e-6 and not bars):
        bars.append(rest)
    elif rest > 1e-6:
        bars[-1] += rest
    return bars


def _section_bars(plan: Plan) -> int:
    """Bars of a usual section: a power of two whose length suits the piece."""
    low, high = plan.style.section_seconds
    target = min(high, max(low, plan.seconds / 5))
    bar = plan.meter.beats * 60 / plan.tempo
    return min((1, 2, 4, 8, 16, 32), key=lambda count: (max(count * bar / target, target / count / bar), count))


def _parts(bars: list[list[float]], plan: Plan, fit: CueFit) -> tuple[list[str], list[list[float]]]:
    """Names of the sections and their bars."""
    if plan.seconds < _GESTURE_SECONDS or sum(map(len, bars)) < 4:
        return ["whole"], [[beats for stretch in bars for beats in stretch]]
    if plan.seconds < _HALVES_SECONDS and not fit.met:
        half = (len(bars[0]) + 1) // 2
        return ["A", "A''"], [bars[0][:half], bars[0][half:]]
    usual = _section_bars(plan)
    edge = max(1, usual // 2)
    first, last = bars[0], bars[-1]
    intro = [first[:edge]] if len(first) > edge + 1 else []
    body_of = {0: first[edge:]} if intro else {}
    outro_bars = edge if edge > 1 or plan.seconds < 45 else 2
    tail = body_of.get(len(bars) - 1, last)
    outro = [tail[-outro_bars:]] if len(tail) > outro_bars + 1 else []
    parts: list[list[float]] = [*intro]
    for index, stretch in enumerate(bars):
        rest = body_of.get(index, stretch)
        rest = rest[:-outro_bars] if outro and index == len(bars) - 1 else rest
        parts += _cut(rest, usual)
    parts += outro
    return _names(len(parts)), parts


def _cut(bars: list[float], usual: int) -> list[list[float]]:
    """Bars in sections of about the usual length."""
    count = max(1, len(bars) // usual)
    if len(bars) - count * usual > usual / 2:
        count += 1
    sizes = [usual] * (count - 1) + [len(bars) - usual * (count - 1)]
    spare = sizes[-1] - usual
    if count > 1 and spare >= 2:
        sizes[-1] -= 2
        sizes[count // 2 - (count == 2)] += 2
    parts, at = [], 0
    for size in sizes:
        parts.append(bars[at : at + size])
        at += size
    return [part for part in parts if part]


def _names(count: int) -> list[str]:
    if count == 1:
        return ["whole"]
    if count == 2:
        return ["A", "A''"]
    return ["intro", *_sequence(count - 2), "outro"]


def _sequence(count: int) -> list[str]:
    """Names of the sections between intro and outro."""
    if count in _SEQUENCES:
        return _SEQUENCES[count].split()
    cycle = _LONG_CYCLE.split()
    middle = [cycle[index % len(cycle)] for index in range(count - 6)]
    if middle[-1] in ("break", "B'"):
        middle[-1] = "A'" if middle[-2:-1] == ["C"] else "C"
    return [*_LONG_HEAD.split(), *middle, "B'", "A''"]


def _sections(names: list[str], parts: list[list[float]], plan: Plan) -> tuple[Section, ...]:
    sections: list[Section] = []
    beat = 0.0
    for name, lengths in zip(names, parts, strict=True):
        bars = []
        for place, beats in enumerate(lengths):
            bars.append(Bar(beat, beats, place))
            beat += beats
        sections.append(Section(name, _energy(name, plan, len(names)), tuple(bars)))
    return tuple(sections)


def _energy(name: str, plan: Plan, count: int) -> float:
    """The style's energy for a kind of section, moved by the mood; short pieces begin higher."""
    table = plan.style.energies
    base = table.get(name, table["A'"])
    if name == "A" and count == 2:
        base = table["A'"]
    return min(1.0, max(0.1, base + plan.energy * (0.5 if name in ("intro", "outro", "break") else 1.0)))


def _tempo(plan: Plan, fit: CueFit, bars: list[list[float]]) -> TempoMap:
    room = _room(plan)
    depth = plan.style.rubato if plan.free else 0.0
    pieces: list[Stretch] = []
    for stretch, lengths in zip(fit.stretches, bars, strict=True):
        pieces += breathing(stretch, lengths, depth) if depth and len(lengths) >= 4 else [stretch]
    return tempo_map(pieces, ritardando=room.ritardando, over=room.ritardando_beats)


def _accents(plan: Plan, fit: CueFit, tempo: TempoMap) -> tuple[float, ...]:
    """Cues that no section meets, as beats on the grid of sixteenths where one is near enough."""
    beats = []
    for cue in plan.cues:
        if 0 < cue < plan.seconds and cue not in fit.met:
            beat = round(tempo.beat(cue) * 4) / 4
            if abs(tempo.seconds(beat) - cue) <= _ACCENT_SECONDS:
                beats.append(beat)
    return tuple(sorted(set(beats)))
