"""Our words as the captions that music models were trained on.

The user's own words come first and stay as they are. What they leave open is filled in from tables, by what is known of genre and mood:
`genre, mood word, instruments, production, N bpm`. Nothing is added that the words already say, or that they rule out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sottovoce import errors
from sottovoce.composer.vocabulary import Wishes, parse_prompt
from sottovoce.prompt import Prompt

#: Characters of a caption: what ACE-Step takes, and what MusicGen servers do.
LONGEST_ACE_STEP, LONGEST_MUSICGEN = 512, 500


@dataclass(frozen=True)
class _Palette:
    """A genre as sound: its label, slowest and fastest tempo, instruments of its quiet and of its lively kind, and how it is produced."""

    label: str
    slow: float
    fast: float
    gentle: tuple[str, ...]
    lively: tuple[str, ...]
    production: str


@dataclass(frozen=True)
class _Temper:
    """A mood as music: energy 0-1, and the genre it takes where none was asked for."""

    energy: float
    genre: str


#: Every genre, and the styles that words can name besides.
_PALETTES: dict[str, _Palette] = {
    "acoustic": _Palette(
        "acoustic", 68, 132, ("fingerpicked acoustic guitar", "soft piano"),
        ("strummed acoustic guitar", "hand claps", "light percussion"), "warm organic production",
    ),
    "electronic": _Palette(
        "electronic", 72, 150, ("soft synth pads", "gentle electronic drums"),
        ("bright synth leads", "driving electronic drums", "pulsing bass"), "clean modern production",
    ),
    "cinematic": _Palette(
        "cinematic", 60, 130, ("soft strings", "felt piano"), ("soaring strings", "brass", "deep percussion"),
        "wide spacious mix",
    ),
    "classical": _Palette(
        "classical", 56, 132, ("solo piano", "chamber strings"), ("chamber strings", "woodwinds", "piano"),
        "natural concert hall recording",
    ),
    "jazz": _Palette(
        "jazz", 66, 168, ("soft piano", "upright bass", "brushed drums"), ("saxophone", "piano", "walking upright bass", "swing drums"),
        "intimate live recording",
    ),
    "pop": _Palette(
        "pop", 76, 128, ("clean electric guitar", "soft keys"), ("bright synths", "clean electric guitar", "punchy drums"),
        "polished modern production",
    ),
    "rock": _Palette(
        "rock", 76, 150, ("clean electric guitar", "soft drums", "bass guitar"),
        ("driving electric guitars", "bass guitar", "powerful drums"), "live band recording",
    ),
    "ambient": _Palette(
        "ambient", 50, 88, ("evolving synth pads", "soft drones"), ("shimmering synth pads", "pulsing arpeggios"),
        "spacious reverb, seamless texture",
    ),
    "folk": _Palette(
        "folk", 66, 126, ("fingerpicked acoustic guitar", "cello"), ("strummed acoustic guitar", "fiddle", "hand percussion"),
        "natural close recording",
    ),
    "indie": _Palette(
        "indie", 72, 132, ("clean electric guitar", "soft keys"), ("jangly electric guitars", "tight drums", "bass guitar"),
        "airy lightly textured mix",
    ),
    "orchestral": _Palette(
        "orchestral", 56, 138, ("soft strings", "woodwinds", "harp"), ("full strings", "brass", "timpani"),
        "wide concert hall recording",
    ),
    "piano": _Palette(
        "piano", 56, 120, ("felt piano",), ("grand piano",), "close intimate recording",
    ),
    "guitar": _Palette(
        "guitar", 62, 126, ("fingerpicked nylon guitar",), ("strummed acoustic guitar", "lead guitar"), "warm close recording",
    ),
    "upbeat": _Palette(
        "upbeat pop", 100, 140, ("acoustic guitar", "hand claps"), ("bright guitars", "hand claps", "punchy drums"),
        "bright punchy production",
    ),
    "relaxing": _Palette(
        "relaxing", 54, 88, ("soft piano", "warm pads"), ("acoustic guitar", "soft piano", "light percussion"),
        "warm soft production",
    ),
    "lofi": _Palette(
        "lofi", 68, 92, ("mellow electric piano", "dusty drums"), ("electric piano", "jazzy guitar", "boom bap drums"),
        "warm tape production",
    ),
    "bossa": _Palette(
        "bossa nova", 84, 140, ("nylon guitar", "soft percussion"), ("nylon guitar", "flute", "shaker", "upright bass"),
        "intimate warm recording",
    ),
    "house": _Palette(
        "house", 116, 130, ("warm pads", "soft house drums"), ("four on the floor drums", "synth stabs", "deep bass"),
        "club-ready production",
    ),
    "synthwave": _Palette(
        "synthwave", 80, 120, ("analog pads", "soft arpeggios"), ("analog arpeggios", "gated drums", "synth bass"),
        "retro eighties production",
    ),
    "hiphop": _Palette(
        "hip hop", 74, 100, ("mellow keys", "laid-back drums"), ("hard drums", "deep 808 bass", "sampled keys"),
        "punchy low end",
    ),
    "funk": _Palette(
        "funk", 92, 122, ("clean guitar", "electric piano", "bass guitar"), ("wah guitar", "slap bass", "horns", "tight drums"),
        "tight live recording",
    ),
    "downtempo": _Palette(
        "downtempo", 70, 104, ("electric piano", "soft pads"), ("synth bass", "crisp drums", "soft pads"),
        "deep smooth production",
    ),
    "corporate": _Palette(
        "corporate", 92, 124, ("muted guitar", "soft piano"), ("muted guitar", "bright piano", "light drums"),
        "clean modern production",
    ),
    "spa": _Palette(
        "spa", 50, 72, ("soft pads", "flute"), ("soft pads", "kalimba"), "spacious soothing mix",
    ),
}  # fmt: skip
_TEMPERS: dict[str, _Temper] = {
    "happy": _Temper(0.65, "acoustic"),
    "sad": _Temper(0.1, "piano"),
    "calm": _Temper(0.0, "ambient"),
    "energetic": _Temper(1.0, "electronic"),
    "romantic": _Temper(0.25, "piano"),
    "dramatic": _Temper(0.6, "cinematic"),
    "playful": _Temper(0.6, "acoustic"),
    "nostalgic": _Temper(0.15, "acoustic"),
    "mysterious": _Temper(0.2, "cinematic"),
    "inspiring": _Temper(0.6, "cinematic"),
    "peaceful": _Temper(0.0, "ambient"),
    "melancholic": _Temper(0.15, "piano"),
    "uplifting": _Temper(0.75, "indie"),
    "tender": _Temper(0.35, "acoustic"),
    "exciting": _Temper(0.95, "electronic"),
}
#: What a season adds where the words name it.
_SEASONS: dict[str, tuple[str, ...]] = {
    "spring": ("fresh", "blossoming"),
    "summer": ("sun-drenched", "carefree"),
    "autumn": ("golden", "woody"),
    "winter": ("frosty", "glistening"),
    "christmas": ("sleigh bells", "festive"),
}
_SEASON = re.compile(rf"\b({'|'.join(_SEASONS)})\b", re.IGNORECASE)
#: Adjectives that say how it is produced, so that nothing is added to that.
_TONES = frozenset(("warm", "bright", "dark", "dreamy", "minimal", "lush", "aggressive"))
#: What words of pace do to the energy that sets the tempo.
_PACES = {"slow": 0.0, "low_energy": 0.15, "high_energy": 0.85, "fast": 1.0}
_USUAL_ENERGY, _LIVELY = 0.4, 0.5


@dataclass(frozen=True)
class Tags:
    """What can be added to a prompt's words: only what they leave open; empty or None where nothing is to be said.

    `bpm` is the user's own where given; else one that suits genre and mood, unless the words or the music to start from have their own.
    """

    genre: str | None = None
    mood: str | None = None
    instruments: tuple[str, ...] = ()
    production: str | None = None
    season: tuple[str, ...] = ()
    bpm: float | None = None
    key: str | None = None
    meter: str | None = None


def ace_step_caption(prompt: Prompt) -> str:
    """A caption for ACE-Step, at most 512 characters: the words, then tags; InvalidPrompt if the words alone are longer.

    Tags that no longer fit are left out, the last first.
    """
    words = prompt.words.strip()
    if len(words) > LONGEST_ACE_STEP:
        raise errors.InvalidPrompt(
            f"the prompt has {len(words)} characters; ACE-Step takes at most {LONGEST_ACE_STEP}",
            hint="Say it shorter; lyrics belong into --lyrics.",
        )
    tags = tags_of(prompt)
    plain = (tags.genre, tags.mood, *tags.instruments, tags.production, *tags.season, _tempo(tags.bpm), tags.key)
    return _joined(words, [tag for tag in plain if tag], ", ", LONGEST_ACE_STEP)


def musicgen_caption(prompt: Prompt) -> str:
    """A caption for MusicGen: the words, then fields as in its training (`genre: folk. bpm: 82`), those that fit into 500 characters.

    Longer words stay whole, with nothing added; servers refuse them.
    """
    tags = tags_of(prompt)
    keywords = [*([tags.production] if tags.production else ()), *tags.season]
    keywords += [f"{tags.meter} time"] if tags.meter else []
    fields = {
        "genre": tags.genre,
        "moods": tags.mood,
        "instrument": ", ".join(tags.instruments),
        "bpm": f"{tags.bpm:g}" if tags.bpm else None,
        "key": tags.key,
        "keywords": ", ".join(keywords),
    }
    said = [f"{name}: {value}" for name, value in fields.items() if value]
    return _joined(prompt.words.strip(), said, ". ", LONGEST_MUSICGEN)


def richer_words(prompt: Prompt) -> str:
    """The words, and what else describes the sound: genre, mood, instruments, production, season; no numbers, no key.

    At most 512 characters; longer words stay as they are.
    """
    tags = tags_of(prompt)
    plain = (tags.genre, tags.mood, *tags.instruments, tags.production, *tags.season)
    return _joined(prompt.words.strip(), [tag for tag in plain if tag], ", ", LONGEST_ACE_STEP)


def tags_of(prompt: Prompt) -> Tags:
    """What the tables add to a prompt; the same for the same prompt."""
    wishes = parse_prompt(prompt.words)
    moods = (prompt.mood, *wishes.moods) if prompt.mood else wishes.moods
    temper = _TEMPERS.get(moods[0]) if moods else None
    palette = _palette(prompt, wishes, temper)
    energy = _energy(wishes, temper)
    return Tags(
        genre=_fresh(palette.label, prompt, wishes) if palette and _genre_open(prompt, wishes) else None,
        mood=_fresh(prompt.mood, prompt, wishes) if prompt.mood else None,
        instruments=_instruments(palette, energy, prompt, wishes),
        production=_production(palette, prompt, wishes),
        season=_season(prompt, wishes),
        bpm=_bpm(palette, energy, prompt, wishes),
        key=str(prompt.key) if prompt.key and prompt.key != wishes.key else None,
        meter=prompt.time_signature if prompt.time_signature != wishes.time_signature else None,
    )


def _palette(prompt: Prompt, wishes: Wishes, temper: _Temper | None) -> _Palette | None:
    """By the genre asked for, else by the style the words name most, else by the mood, unless the words rule that out."""
    usual = temper.genre if temper and not _denied(temper.genre, prompt.words) else None
    named = (prompt.genre, *(style for style, _ in wishes.styles), usual)
    return next((_PALETTES[name] for name in named if name in _PALETTES), None)


def _genre_open(prompt: Prompt, wishes: Wishes) -> bool:
    return prompt.genre is not None or not any(style in _PALETTES for style, _ in wishes.styles)


def _energy(wishes: Wishes, temper: _Temper | None) -> float:
    paces = [_PACES[word] for word in wishes.adjectives if word in _PACES]
    return paces[0] if paces else temper.energy if temper else _USUAL_ENERGY


def _instruments(palette: _Palette | None, energy: float, prompt: Prompt, wishes: Wishes) -> tuple[str, ...]:
    if palette is None or wishes.instruments:
        return ()
    chosen = palette.lively if energy >= _LIVELY else palette.gentle
    return tuple(name for name in chosen if _fresh(name, prompt, wishes))


def _production(palette: _Palette | None, prompt: Prompt, wishes: Wishes) -> str | None:
    if palette is None or wishes.textures or _TONES & set(wishes.adjectives):
        return None
    return _fresh(palette.production, prompt, wishes)


def _season(prompt: Prompt, wishes: Wishes) -> tuple[str, ...]:
    found = _SEASON.search(prompt.words)
    tags = _SEASONS[found[1].lower()] if found and not _denied(found[1], prompt.words) else ()
    return tuple(tag for tag in tags if _fresh(tag, prompt, wishes))


def _bpm(palette: _Palette | None, energy: float, prompt: Prompt, wishes: Wishes) -> float | None:
    if prompt.bpm is not None:
        return None if prompt.bpm == wishes.bpm else prompt.bpm
    if palette is None or wishes.bpm is not None or prompt.edit is not None:
        return None
    return round(palette.slow + (palette.fast - palette.slow) * energy)


def _fresh(tag: str, prompt: Prompt, wishes: Wishes) -> str | None:
    """The tag, unless the words say it already or rule out what it stands for."""
    if tag.lower() in prompt.words.lower() or _denied(tag, prompt.words):
        return None
    return None if wishes.banned and _meant(tag) & set(wishes.banned) else tag


def _meant(tag: str) -> set[str]:
    """What a tag and each of its words stand for."""
    found = [parse_prompt(words) for words in (tag, *tag.split())]
    return {
        name for one in found for name in (*one.instruments, *one.moods, *one.textures, *one.adjectives, *one.roles)
    }


def _denied(tag: str, words: str) -> bool:
    """Whether the words say `no`, `not` or `without` shortly before it, in the same breath."""
    denial = rf"\b(?:no|not|without|minus|never)\b(?:[ /-]+\w+){{0,2}}[ /-]+{re.escape(tag)}\b"
    return re.search(denial, words, re.IGNORECASE) is not None


def _tempo(bpm: float | None) -> str | None:
    return f"{bpm:g} bpm" if bpm else None


def _joined(words: str, tags: Iterable[str], mark: str, longest: int) -> str:
    """The words, and after them as many tags as fit."""
    caption = words
    for tag in tags:
        longer = (
            f"{caption} {tag}" if caption.endswith((".", "!", "?")) else f"{caption}{mark}{tag}" if caption else tag
        )
        if len(longer) > longest:
            break
        caption = longer
    return caption
