"""Harmony: which chord sounds when, from progressions by section, with substitutions, turnarounds and a cadence at the end."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sottovoce.composer.form import Form, Section
from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.plan import Plan
from sottovoce.composer.rng import chance, pick, stream, weighted
from sottovoce.composer.style import Progression
from sottovoce.composer.theory import Chord, chord

#: What may stand for a numeral when a loop comes round again; extensions are kept by the style's own spelling.
_SUBSTITUTES: dict[str, tuple[str, ...]] = {
    "I": ("vi",),
    "IM7": ("vi7", "iii7"),
    "IM9": ("vi9", "iii7"),
    "IV": ("ii", "IVadd9"),
    "IVM7": ("ii7",),
    "IVM9": ("ii9", "iv9"),
    "V": ("Vsus4", "iii"),
    "V13": ("bII7", "V9sus", "V7b9"),
    "V7": ("V7sus", "bII7"),
    "V9sus": ("V13", "V7b9"),
    "vi": ("IV",),
    "vi9": ("IVM9",),
    "VI7b9": ("bIII7", "#io7"),
    "i": ("bVI",),
    "i9": ("bIIIM7",),
    "IV9": ("ii9",),
    "bVI": ("iv",),
    "bVIM7": ("iv9",),
    "bVII": ("v",),
    "ii9": ("IVM9",),
}
#: Chords to a beat at most change this fast, in beats.
_SHORTEST = 1.0


def harmonise(plan: Plan, form: Form) -> tuple[ChordSpan, ...]:
    """The chords from beat 0 to the ring of the last one, each as long as it sounds."""
    rng = stream(plan.seed, "harmony")
    books = _progressions(plan, rng)
    spans: list[ChordSpan] = []
    heard: dict[str, int] = {}
    for index, section in enumerate(form.sections):
        last = index == len(form.sections) - 1
        letter = section.letter if section.letter in books else "A"
        times = heard.get(letter, 0)
        heard[letter] = times + 1
        spans += _section(plan, section, _varied(books[letter], times, rng), rng)
        if not last:
            following = form.sections[index + 1]
            ahead = books[following.letter if following.letter in books else "A"][0]
            spans = _turned(plan, spans, section, chord(ahead.split(",")[0], plan.key.root), rng)
    *body, end = _closed(plan, form, spans, rng)
    return (*_merged(body), end)


def _progressions(plan: Plan, rng: Random) -> dict[str, list[str]]:
    """One progression for each letter; B and C begin on other chords than A where the style has such."""
    fitting = [p for p in plan.style.progressions if plan.mode in p.modes]
    books: dict[str, list[str]] = {}
    firsts: list[str] = []
    for letter in ("A", "B", "C"):
        able = [p for p in fitting if letter in p.letters] or fitting
        fresh = [p for p in able if p.romans.split("|")[0] not in firsts] or able
        chosen = _pick(rng, fresh)
        books[letter] = [_enriched(plan, part) for part in chosen.romans.split("|")]
        firsts.append(chosen.romans.split("|")[0])
    pedal = [p for p in fitting if p.letters == "I"]
    books["I"] = [_enriched(plan, part) for part in _pick(rng, pedal).romans.split("|")] if pedal else books["A"]
    return books


def _pick(rng: Random, progressions: Sequence[Progression]) -> Progression:
    return weighted(rng, [(progression, progression.weight) for progression in progressions])


_ENRICHED = {
    "I": "IM9",
    "IV": "IVM9",
    "V": "V13",
    "vi": "vi9",
    "ii": "ii9",
    "iii": "iii7",
    "i": "i9",
    "iv": "iv9",
    "v": "v7",
}
_ENRICHED |= {"bVI": "bVIM7", "bIII": "bIIIM7", "bVII": "bVII13"}


def _enriched(plan: Plan, part: str) -> str:
    """Triads as ninths where jazz is asked for."""
    return ",".join(_ENRICHED.get(roman, roman) for roman in part.split(",")) if plan.rich else part


def _varied(romans: list[str], times: int, rng: Random) -> list[str]:
    """The progression as it comes the first time; later one of its inner chords gives way to a relative."""
    able = [place for place in range(1, len(romans)) if romans[place] in _SUBSTITUTES]
    if times == 0 or not able or chance(rng, 0.35):
        return romans
    place = pick(rng, able)
    return [*romans[:place], pick(rng, _SUBSTITUTES[romans[place]]), *romans[place + 1 :]]


def _pace(plan: Plan, section: Section) -> float:
    """Bars to a chord: a power of two whose length is near what the style likes; at least two chords to a section."""
    bar = plan.meter.beats * 60 / plan.tempo
    pace = min(
        (0.5, 1.0, 2.0, 4.0, 8.0), key=lambda n: (max(n * bar / plan.chord_seconds, plan.chord_seconds / n / bar), n)
    )
    while pace > 1 and pace * 2 > len(section.bars):
        pace /= 2
    return pace


def _section(plan: Plan, section: Section, romans: list[str], rng: Random) -> list[ChordSpan]:
    """The chords of a section; after four rounds of a loop one chord is exchanged."""
    pace = _pace(plan, section)
    spans: list[ChordSpan] = []
    for place, (start, length) in enumerate(_slots(section, pace)):
        rounds, index = divmod(place, len(romans))
        if index == 0 and rounds in (2, 4):
            romans = _varied(romans, 1, rng)
        parts = romans[index].split(",") if length >= 2 * _SHORTEST else romans[index].split(",")[:1]
        width = length / len(parts)
        for number, roman in enumerate(parts):
            spans.append(_span(chord(roman, plan.key.root), start + number * width, width))
    return spans


def _slots(section: Section, pace: float) -> list[tuple[float, float]]:
    """First beat and length of each chord's time in a section."""
    if pace < 1:
        halves = [(bar.start + half * bar.beats / 2, bar.beats / 2) for bar in section.bars for half in (0, 1)]
        return halves if section.bars[0].beats >= 4 else [(bar.start, bar.beats) for bar in section.bars]
    step = int(pace)
    groups = [section.bars[i : i + step] for i in range(0, len(section.bars), step)]
    return [(group[0].start, group[-1].end - group[0].start) for group in groups]


def _span(sound: Chord, start: float, length: float) -> ChordSpan:
    return ChordSpan(start, length, sound.root, sound.quality, sound.bass, sound.roman)


def _turned(plan: Plan, spans: list[ChordSpan], section: Section, ahead: Chord, rng: Random) -> list[ChordSpan]:
    """The end of a section leads into the next chord: its last half bar becomes a dominant of some kind."""
    if not plan.style.turnarounds or len(section.bars) < 2 or not chance(rng, 0.6):
        return spans
    last = spans[-1]
    half = section.bars[-1].beats / 2
    already = (last.root - ahead.root) % 12 == 7
    if already or last.length < half + _SHORTEST or half < _SHORTEST:
        return spans
    turn = chord(pick(rng, plan.style.turnarounds), ahead.root)
    if turn.root == last.root:
        return spans
    kept = _span(Chord(last.root, last.quality, last.bass, last.roman), last.start, last.length - half)
    named = Chord(turn.root, turn.quality, turn.bass, f"{turn.roman}/{ahead.roman}")
    return [*spans[:-1], kept, _span(named, last.start + last.length - half, half)]


def _closed(plan: Plan, form: Form, spans: list[ChordSpan], rng: Random) -> list[ChordSpan]:
    """The piece with its cadence: the last bars lead to the last chord, which rings."""
    able = [p for p in plan.style.cadences if plan.mode in p.modes]
    romans = _pick(rng, able).romans.split("|")
    ring = form.ring * form.tempo.points[-1][2] / 60
    starts = _cadence_starts(form, len(romans) - 1)
    before = romans[-1 - len(starts) : -1] if starts else []
    cut = starts[0] if starts else form.final
    kept = [_shortened(span, cut) for span in spans if span.start < cut - 1e-6]
    bounds = [*starts, form.final]
    closing = [
        _span(chord(roman, plan.key.root), start, end - start)
        for roman, start, end in zip(before, bounds, bounds[1:], strict=False)
    ]
    return [*kept, *closing, _span(chord(romans[-1], plan.key.root), form.final, ring)]


def _shortened(span: ChordSpan, end: float) -> ChordSpan:
    length = min(span.length, end - span.start)
    return ChordSpan(span.start, length, span.root, span.quality, span.bass, span.roman)


def _cadence_starts(form: Form, chords: int) -> list[float]:
    """Where the chords before the last one begin: a bar each, halves of the last bar in short pieces."""
    bars = form.bars
    if len(bars) > chords + 1:
        return [bar.start for bar in bars[len(bars) - chords :]]
    last = bars[-1]
    if last.beats >= 2 and chords >= 2:
        return [last.start, last.start + last.beats / 2]
    return [last.start] if len(bars) > 1 else [last.start + last.beats / 2]


def _merged(spans: list[ChordSpan]) -> list[ChordSpan]:
    """Chords that are the same and touch become one."""
    merged: list[ChordSpan] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last and (last.root, last.quality, last.bass) == (span.root, span.quality, span.bass):
            merged[-1] = ChordSpan(
                last.start, span.start + span.length - last.start, last.root, last.quality, last.bass, last.roman
            )
        else:
            merged.append(span)
    return merged
