"""From brief to plan: every musical choice that is made before the first note, settled once and kept with the track."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from sottovoce.composer.brief import Brief
from sottovoce.composer.casting import cast
from sottovoce.composer.meter import METERS, Meter
from sottovoce.composer.mix import MixStyle
from sottovoce.composer.moods import MODIFIERS, Modifier, modifier
from sottovoce.composer.rng import between, pick, stream, weighted
from sottovoce.composer.style import Player, Style
from sottovoce.composer.stylebook import STAND_INS, stand_in, stylebook
from sottovoce.composer.theory import MODES
from sottovoce.composer.vocabulary import Wishes, parse_prompt
from sottovoce.moods import MOODS
from sottovoce.prompt import Key, parse_key

#: Level in dBFS of a bed that a prompt asks for.
_BED_DB = {"vinyl": -42.0, "tape": -46.0, "fire": -40.0, "crickets": -40.0, "birds": -38.0}
_USUAL_BED_DB = -34.0


@dataclass(frozen=True)
class Plan:
    """What will be played; `seed` is that of every stream, `bpm` counts felt beats, and one beat of the composer is `feel` written quarter notes."""

    seconds: float
    seed: int
    style: Style
    #: The style that was asked for, which may not be there yet.
    asked_style: str
    bpm: float
    #: Whether the tempo may be bent to reach the length.
    free: bool
    feel: float
    key: Key
    mode: str
    meter: Meter
    moods: tuple[str, ...]
    mood: Modifier
    cast: tuple[Player, ...]
    textures: tuple[tuple[str, float], ...]
    #: Notes against the style's usual number, and how rich the chords are made.
    density: float
    energy: float
    rich: bool
    chord_seconds: float
    mix: MixStyle
    loudness: float
    cues: tuple[float, ...]
    wishes: Wishes
    notes: tuple[str, ...]

    @property
    def tempo(self) -> float:
        """Composer's beats a minute."""
        return self.bpm * self.meter.pulse / self.feel

    def as_dict(self) -> dict[str, Any]:
        """The plan in plain values, for the recipe and for the eye."""
        return {
            "style": self.style.name,
            "asked_style": self.asked_style,
            "bpm": round(self.bpm, 3),
            "key": str(self.key),
            "mode": self.mode.replace("_", " "),
            "time_signature": self.meter.name,
            "moods": list(self.moods),
            "parts": {player.name: player.instruments[0][0] for player in self.cast},
            "textures": dict(self.textures),
            "density": round(self.density, 3),
            "loudness": self.loudness,
            "understood": list(self.wishes.understood),
            "ignored": list(self.wishes.ignored),
        }


def resolve(brief: Brief) -> Plan:
    """Settle style, mood, tempo, key, meter, players and beds; explicit wishes come before words, words before the style's own."""
    wishes = parse_prompt(brief.words)
    seed = mixed_seed(brief)
    rng = stream(seed, "plan")
    moods = _moods(brief, wishes)
    asked = _style(brief, wishes, moods, rng)
    style = stylebook()[asked if asked in stylebook() else stand_in(asked)]
    mood = modifier(moods)
    meter = _meter(brief, wishes, style, rng)
    mode, key = _mode_and_key(brief, wishes, style, mood, rng)
    bpm, free = _tempo(brief, wishes, _Leaning(style, asked, mood, meter), rng)
    lean = STAND_INS[asked].instruments if asked != style.name else ()
    energy = mood.energy + (0.12 if "high_energy" in wishes.adjectives else 0) - (0.12 if _low(wishes) else 0)
    return Plan(
        seconds=brief.seconds,
        seed=seed,
        style=style,
        asked_style=asked,
        bpm=bpm,
        free=free,
        feel=_feel(bpm * meter.pulse, style),
        key=key,
        mode=mode,
        meter=meter,
        moods=moods,
        mood=mood,
        cast=cast(style, wishes, lean=lean, without=(*brief.without, *mood.without), rng=stream(seed, "cast")),
        textures=_textures(brief, wishes, style, stood_in=asked != style.name),
        density=mood.density * (0.6 if "sparse" in wishes.adjectives else 1.0) * (1.3 if "busy" in wishes.adjectives else 1),
        energy=energy,
        rich="jazzy" in wishes.adjectives or asked in ("jazz", "bossa", "funk"),
        chord_seconds=style.chord_seconds * mood.chord_pace,
        mix=_mix(style.mix, wishes, mood),
        loudness=brief.loudness if brief.loudness is not None else style.loudness,
        cues=brief.cues,
        wishes=wishes,
        notes=_notes(brief, wishes, style, asked),
    )  # fmt: skip


def mixed_seed(brief: Brief) -> int:
    """The seed of all streams: the brief's, stirred with its words, so that two prompts with one seed are two pieces."""
    words = " ".join(f"{brief.words} {brief.mood or ''} {brief.genre or ''}".lower().split())
    return brief.seed << 32 | zlib.crc32(words.encode())


@dataclass(frozen=True)
class _Leaning:
    style: Style
    asked: str
    mood: Modifier
    meter: Meter


def _low(wishes: Wishes) -> bool:
    return "low_energy" in wishes.adjectives


def _moods(brief: Brief, wishes: Wishes) -> tuple[str, ...]:
    named = parse_prompt(brief.mood).moods if brief.mood and brief.mood not in MOODS else ()
    own = (brief.mood,) if brief.mood in MOODS else named
    genre = parse_prompt(brief.genre).moods if brief.genre else ()
    return tuple(dict.fromkeys((*own, *wishes.moods, *genre)))[:2]


def _style(brief: Brief, wishes: Wishes, moods: tuple[str, ...], rng: Random) -> str:
    """The style with most votes: the asked genre counts double; a tie and no vote at all are settled by the seed."""
    if brief.style is not None:
        return brief.style
    votes = dict(wishes.styles)
    for name, weight in parse_prompt(brief.genre).styles if brief.genre else ():
        votes[name] = votes.get(name, 0.0) + 2 * weight
    if not votes:
        arousal = modifier(moods).arousal
        if arousal <= -0.4:
            return pick(rng, ("ambient", "piano", "lofi"))
        return "downtempo" if arousal < 0.5 else "indie"
    most = max(votes.values())
    tied = sorted(name for name, weight in votes.items() if weight == most)
    return pick(rng, [name for name in tied if name in stylebook()] or tied)


def _meter(brief: Brief, wishes: Wishes, style: Style, rng: Random) -> Meter:
    waltz = "3/4" if "waltz" in wishes.understood else None
    return METERS[brief.time_signature or wishes.time_signature or waltz or weighted(rng, style.meters)]


def _mode_and_key(brief: Brief, wishes: Wishes, style: Style, mood: Modifier, rng: Random) -> tuple[str, Key]:
    """Mode by key asked, then by words, then by mood, then by style; the key's root among those the style likes."""
    key = brief.key or wishes.key
    minor: bool | None = key.minor if key else None
    if minor is None and "minor" in wishes.adjectives:
        minor = True
    elif minor is None and "major" in wishes.adjectives:
        minor = False
    elif minor is None and "dark" in wishes.adjectives and not mood.modes:
        minor = True
    fitting = [(mode, weight) for mode, weight in style.modes if minor is None or is_minor(mode) == minor]
    liked = [(mode, weight * (2.0 if mode == mood.modes[0] else 1.0)) for mode, weight in fitting if mode in mood.modes]
    mode = weighted(rng, liked or _by_valence(fitting, mood, fixed=minor is not None))
    if key is None:
        names = style.minor_keys if is_minor(mode) else style.major_keys
        key = Key(parse_key(pick(rng, names)).root, is_minor(mode))
    return mode, key


def _by_valence(modes: list[tuple[str, float]], mood: Modifier, *, fixed: bool) -> list[tuple[str, float]]:
    """The modes on the mood's side of major and minor; all of them for a mood near the middle."""
    if fixed or not mood.modes:
        return modes
    return [(mode, weight) for mode, weight in modes if is_minor(mode) == (mood.valence < 0)] or modes


def is_minor(mode: str) -> bool:
    """Whether a mode has a minor third."""
    return 3 in MODES[mode]


def _tempo(brief: Brief, wishes: Wishes, lean: _Leaning, rng: Random) -> tuple[float, bool]:
    """Felt beats a minute, and whether they may be bent: an asked tempo is kept."""
    drawn = between(rng, 0.94, 1.06)
    asked = brief.bpm or wishes.bpm
    if asked:
        return asked, False
    low, usual, high = lean.style.bpm
    stand = STAND_INS.get(lean.asked) if lean.asked != lean.style.name else None
    start = low + (high - low) * stand.pace if stand and stand.pace is not None else usual
    pace = (0.88 if "slow" in wishes.adjectives else 1.0) * (1.14 if "fast" in wishes.adjectives else 1.0)
    quarters = min(high, max(low, start * drawn * lean.mood.tempo * pace))
    return quarters / lean.meter.pulse * (1.1 if lean.meter.name == "6/8" else 1.0), True


def _feel(quarters: float, style: Style) -> float:
    """Quarter notes to one of the composer's beats: a far tempo is felt at half or double, near the style's own."""
    usual = style.bpm[1]
    return min(
        (0.25, 0.5, 1.0, 2.0, 4.0), key=lambda feel: (max(quarters / feel / usual, usual * feel / quarters), feel)
    )


def _textures(brief: Brief, wishes: Wishes, style: Style, *, stood_in: bool) -> tuple[tuple[str, float], ...]:
    if "texture" in brief.without or "texture" in wishes.banned:
        return ()
    beds = {} if stood_in else dict(style.textures)
    beds |= {kind: _BED_DB.get(kind, _USUAL_BED_DB) for kind in wishes.textures}
    return tuple((kind, level) for kind, level in beds.items() if kind not in wishes.banned)


def _mix(mix: MixStyle, wishes: Wishes, mood: Modifier) -> MixStyle:
    """The style's mix, moved by adjectives and mood."""
    words = wishes.adjectives
    tilt = mix.tilt_db + mood.tilt_db + 1.5 * (("bright" in words) - ("warm" in words)) - 0.7 * ("dark" in words)
    drive = mood.drive_db + 6.0 * ("aggressive" in words)
    harmony = replace(mix.harmony, drive_db=mix.harmony.drive_db + drive, wow_cents=mix.harmony.wow_cents * mood.wow)
    pads = replace(mix.pads, level_db=mix.pads.level_db + 3.0 * ("lush" in words))
    return replace(
        mix,
        tilt_db=tilt,
        harmony=harmony,
        pads=pads,
        reverb_seconds=mix.reverb_seconds * mood.reverb * (1.5 if "dreamy" in words else 1.0),
        reverb_db=mix.reverb_db + 2.0 * ("dreamy" in words),
    )


def _notes(brief: Brief, wishes: Wishes, style: Style, asked: str) -> tuple[str, ...]:
    """What the user should know about how the words were taken."""
    notes = []
    if asked != style.name and brief.style is None:
        if any(name == asked for name, _ in wishes.styles) or brief.genre is not None:
            notes.append(f"the composer has no {asked} style yet; it plays {style.title} that leans towards {asked}")
        elif wishes.understood:
            notes.append(f"the words name no style; it plays {style.title}")
    if not wishes.understood:
        notes.append(f"no word of the prompt says anything about music; it plays {style.title}")
    elif wishes.ignored:
        notes.append("not understood and ignored: " + ", ".join(wishes.ignored[:8]))
    if brief.genre and not parse_prompt(brief.genre).understood:
        notes.append(f"the genre {brief.genre!r} is not known; the words decided")
    if brief.mood and not parse_prompt(brief.mood).moods:
        notes.append(f"the mood {brief.mood!r} is not known; the words decided. Moods: {', '.join(MODIFIERS)}")
    return tuple(notes)
