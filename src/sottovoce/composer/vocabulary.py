"""Words to wishes: what a prompt says about style, mood, instruments, beds, tempo, key and meter, and which words said nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sottovoce.prompt import TIME_SIGNATURES, Key, parse_key

Kind = Literal["style", "mood", "instrument", "texture", "adjective", "role"]

STYLE_WORDS: dict[str, str] = {
    "lofi": "lofi, lo-fi, lo fi, chillhop, study, studying, coding, beats to relax, bedroom, boom bap, jazzhop, homework",
    "ambient": "ambient, drone, space, atmosphere, atmospheric, soundscape, ethereal, sleep, sleeping, floating, meditative",
    "cinematic": "cinematic, trailer, epic, film, score, soundtrack, tension, suspense, documentary",
    "orchestral": "orchestra, orchestral, symphonic, symphony, classical, classical ensemble, majestic, waltz, chamber",
    "piano": "piano solo, solo piano, acoustic piano, classical piano, neoclassical, neo-classical, nocturne, minimal piano, felt, felt piano",
    "jazz": "jazz, swing, jazz trio, bebop, lounge, cocktail, smoky, walking bass",
    "bossa": "bossa, bossa nova, brazil, brazilian, samba, latin lounge, latin, beach bar, rumba, hotel lobby",
    "acoustic": "acoustic, folk, fingerpicked, campfire, country, singer-songwriter, ukulele, travel",
    "indie": "indie, pop, vlog, catchy, summer, hand claps",
    "rock": "rock, rock guitars, garage, punk, metal, driving, stadium",
    "house": "house, club, dance, edm, techno, deep house, fashion, runway, electronic",
    "synthwave": "synthwave, retro, 80s, eighties, neon, outrun, arcade, cyber, cyberpunk",
    "hiphop": "trap, hip hop, hip-hop, hiphop, rap, 808, drill, urban, street, phonk",
    "funk": "funk, funky, disco, groove, soul, motown, party, boogie",
    "downtempo": "downtempo, chillout, chill out, trip hop, trip-hop, lounge electronic, sunset, boutique",
    "corporate": "corporate, business, technology, presentation, motivational, explainer",
    "holiday": "holiday, christmas, winter, festive, sleigh, sleigh bells, carol",
    "spa": "spa, meditation, yoga, wellness, massage, healing, zen, breathing",
}  # fmt: skip

MOOD_WORDS: dict[str, str] = {
    "happy": "happy, cheerful, joyful, joy, sunny, merry, feel-good",
    "sad": "sad, sorrow, sorrowful, tearful, crying, lonely, grief, heartbreak",
    "calm": "calm, calming, chill, chilled, relaxed, relaxing, relax, mellow, soothing, quiet, laid-back, laid back, cozy, cosy",
    "energetic": "energetic, energy, upbeat, lively, dynamic, powerful, workout",
    "romantic": "romantic, love, wedding, intimate, passionate",
    "dramatic": "dramatic, intense, tense, stormy",
    "playful": "playful, quirky, funny, cute, whimsical, bouncy, kids, children",
    "nostalgic": "nostalgic, nostalgia, memories, memory, vintage, wistful, childhood",
    "mysterious": "mysterious, mystery, eerie, enigmatic, haunting, spooky",
    "inspiring": "inspiring, inspirational, hopeful, hope, triumphant",
    "peaceful": "peaceful, peace, serene, tranquil, still, restful",
    "melancholic": "melancholic, melancholy, bittersweet, longing, moody, blue, autumn",
    "uplifting": "uplifting, bright day, optimistic, positive, uplift",
    "tender": "tender, gentle, soft, delicate, lullaby, sweet, baby",
    "exciting": "exciting, thrilling, adrenaline, action, adventure",
}  # fmt: skip

#: Words -> instruments of `synth`, and the style they lean to.
INSTRUMENT_WORDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "piano, pianos, keys, upright piano": (("felt_piano", "grand_piano"), "piano"),
    "grand piano": (("grand_piano",), "piano"),
    "rhodes, e-piano, electric piano, wurlitzer, ep": (("e_piano",), "lofi"),
    "guitar, guitars, acoustic guitar, nylon guitar, classical guitar": (("nylon_guitar", "muted_guitar"), "acoustic"),
    "electric guitar, muted guitar, clean guitar": (("muted_guitar",), None),
    "upright bass, double bass, contrabass, acoustic bass": (("upright_bass",), "jazz"),
    "bass guitar, electric bass": (("electric_bass",), None),
    "sub bass, sub-bass": (("sub_bass",), None),
    "flute, flutes, whistle, recorder": (("flute",), None),
    "vibes, vibraphone": (("vibes",), "jazz"),
    "kalimba, thumb piano, marimba, mbira": (("kalimba",), None),
    "bell, bells, glockenspiel, glock, celesta, music box, chimes": (("bell",), None),
    "pad, pads, synth pad, synths, synth": (("pad_warm", "pad_dark"), "ambient"),
    "choir, voices, choral": (("choir",), "ambient"),
    "strings, string ensemble, violins, violin, cello, cellos": (("string_ensemble",), "orchestral"),
    "reversed piano, reverse piano": (("reversed_piano",), "ambient"),
    "brushes, brushed drums, brush": (("drum_kit_brush",), "jazz"),
}

TEXTURE_WORDS: dict[str, str] = {
    "rain": "rain, rainy, raining, drizzle, rainfall",
    "storm": "storm, thunder, thunderstorm",
    "vinyl": "vinyl, crackle, vinyl crackle, dusty, record player, crackling vinyl",
    "tape": "tape, hiss, cassette, tape hiss",
    "cafe": "café, cafe, coffee shop, café murmur, coffeehouse, coffee",
    "waves": "waves, ocean, sea, beach, shore",
    "wind": "wind, windy, breeze",
    "birds": "birds, birdsong, forest",
    "fire": "fire, fireplace, fireside, crackling fire",
    "crickets": "crickets, night crickets, summer night",
}

ADJECTIVE_WORDS: dict[str, str] = {
    "warm": "warm, warmth, golden",
    "bright": "bright, shiny, sparkling, crisp",
    "dark": "dark, night, midnight, late night, deep, gloomy, noir",
    "dreamy": "dreamy, dream, dreams, hazy, reverb, spacious",
    "minimal": "minimal, minimalist, minimalistic, simple, bare",
    "lush": "lush, rich, layered, full",
    "aggressive": "aggressive, heavy, hard, distorted",
    "sparse": "sparse, spare, airy, space between",
    "busy": "busy, dense, intricate",
    "jazzy": "jazzy, seventh chords",
    "slow": "slow, slowly, lento",
    "fast": "fast, quick, up-tempo, uptempo, rapid",
    "low_energy": "low energy, background, unobtrusive",
    "high_energy": "high energy, pumping",
    "short": "intro, logo, sting, jingle",
    "major": "major, in major, major key",
    "minor": "minor, in minor, minor key",
}

ROLE_WORDS: dict[str, str] = {
    "kit": "drums, drum, beat, beats, percussion, drum kit, rhythm section",
    "bass": "bass, bassline, bass line",
    "lead": "melody, melodies, lead, solo, tune",
    "texture": "noise, background noise, effects, field recordings",
    "pad": "background pads",
}

#: Words that say nothing about the notes and are not worth mentioning as ignored.
_FILLER = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "do",
        "down",
        "feel",
        "feeling",
        "feels",
        "for",
        "from",
        "give",
        "has",
        "have",
        "i",
        "in",
        "instrumental",
        "into",
        "is",
        "it",
        "its",
        "just",
        "kind",
        "let",
        "like",
        "little",
        "loop",
        "make",
        "me",
        "medium",
        "mid",
        "mid-tempo",
        "minutes",
        "more",
        "mood",
        "moods",
        "my",
        "music",
        "musical",
        "nice",
        "of",
        "on",
        "or",
        "out",
        "over",
        "piece",
        "please",
        "seconds",
        "section",
        "sections",
        "some",
        "something",
        "song",
        "sound",
        "sounding",
        "sounds",
        "style",
        "tempo",
        "that",
        "the",
        "then",
        "there",
        "this",
        "to",
        "track",
        "under",
        "up",
        "very",
        "vibe",
        "vibes-like",
        "video",
        "videos",
        "want",
        "while",
        "with",
        "you",
        "your",
        "tone",
        "energy",
        "key",
        "bpm",
        "signature",
        "time",
        "no",
        "without",
        "minus",
        "not",
        "vocals",
        "vocal",
        "voice",
        "singing",
        "lyrics",
        "background-music",
    ]
)
_NEGATIONS = frozenset(("no", "without", "minus", "not", "never", "free"))
_TOKEN = re.compile(r"[a-zà-ÿ0-9][a-zà-ÿ0-9'#/.&-]*|[,.;:!?|]")
_BPM = re.compile(
    r"\b(\d{2,3}(?:\.\d+)?)\s*-?\s*(?:bpm|beats per minute)\b|\b(?:tempo|bpm)\s*(?:of|=|:)?\s*(\d{2,3}(?:\.\d+)?)\b"
)
_KEY = re.compile(r"\b([A-Ga-g])\s?(#|♯|♭|b|-?\s?sharp|-?\s?flat)?[\s-]+(major|minor|maj|min)\b", re.IGNORECASE)
_SHORT_KEY = re.compile(r"\b(?:in|key of|key:)\s+([A-G][#b♯♭]?m?)(?=$|[\s,.;:!])")
_METER = re.compile(r"(?<![\d/])([2346]/[48])(?![\d/])")
_LONGEST_PHRASE = 3


@dataclass(frozen=True)
class Meaning:
    """What a phrase stands for: its kind, the name of it, and its weight as a vote."""

    kind: Kind
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """Everything found in a prompt; `banned` are roles, instruments and beds that must not be there."""

    styles: tuple[tuple[str, float], ...] = ()
    moods: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    textures: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    bpm: float | None = None
    key: Key | None = None
    time_signature: str | None = None
    understood: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def phrases() -> dict[str, tuple[Meaning, ...]]:
    """Every phrase that is understood, with what it means."""
    book: dict[str, tuple[Meaning, ...]] = {}
    tables: tuple[tuple[Kind, dict[str, str], float], ...] = (
        ("style", STYLE_WORDS, 3.0),
        ("mood", MOOD_WORDS, 1.0),
        ("texture", TEXTURE_WORDS, 1.0),
        ("adjective", ADJECTIVE_WORDS, 1.0),
        ("role", ROLE_WORDS, 1.0),
    )
    for kind, table, weight in tables:
        for name, words in table.items():
            for phrase in words.split(", "):
                book[phrase] = (*book.get(phrase, ()), Meaning(kind, name, weight))
    for words, (instruments, style) in INSTRUMENT_WORDS.items():
        for phrase in words.split(", "):
            meanings = tuple(Meaning("instrument", name) for name in instruments)
            lean = (Meaning("style", style),) if style else ()
            book[phrase] = (*book.get(phrase, ()), *meanings, *lean)
    return book


def parse_prompt(text: str) -> Wishes:
    """What the words say; numbers written as `90 bpm`, `D minor` and `3/4` become tempo, key and meter."""
    bpm, key, meter, rest, explicit = _numbers(text)
    found, ignored = _scan(rest.lower())
    wanted = [meaning for _, negated, meanings in found if not negated for meaning in meanings]
    banned = [m.name for _, negated, meanings in found if negated for m in meanings if m.kind != "style"]
    votes: dict[str, float] = {}
    for meaning in wanted:
        if meaning.kind == "style":
            votes[meaning.name] = votes.get(meaning.name, 0.0) + meaning.weight
    return Wishes(
        styles=tuple(sorted(votes.items(), key=lambda pair: (-pair[1], pair[0]))),
        moods=_names(wanted, "mood"),
        instruments=_named_instruments(found),
        textures=_names(wanted, "texture"),
        adjectives=_names(wanted, "adjective"),
        roles=_names(wanted, "role"),
        banned=tuple(dict.fromkeys(banned)),
        bpm=bpm,
        key=key,
        time_signature=meter,
        understood=(*explicit, *(f"no {phrase}" if negated else phrase for phrase, negated, _ in found)),
        ignored=ignored,
    )


def _named_instruments(found: list[tuple[str, bool, tuple[Meaning, ...]]]) -> tuple[str, ...]:
    """The first choice of every instrument phrase that is wanted."""
    firsts = [
        next(m.name for m in meanings if m.kind == "instrument")
        for _, negated, meanings in found
        if not negated and any(m.kind == "instrument" for m in meanings)
    ]
    return tuple(dict.fromkeys(firsts))


def _names(meanings: list[Meaning], kind: Kind) -> tuple[str, ...]:
    return tuple(dict.fromkeys(meaning.name for meaning in meanings if meaning.kind == kind))


def _numbers(text: str) -> tuple[float | None, Key | None, str | None, str, tuple[str, ...]]:
    """Tempo, key and meter written out; the text without them; and what was found, as written."""
    explicit: list[str] = []
    bpm: float | None = None
    key: Key | None = None
    meter: str | None = None
    tempo = _BPM.search(text.lower())
    if tempo and 30 <= float(tempo[1] or tempo[2]) <= 300:
        bpm = float(tempo[1] or tempo[2])
        explicit.append(tempo[0])
        text = text[: tempo.start()] + "," + text[tempo.end() :]
    keyed = _KEY.search(text) or _SHORT_KEY.search(text)
    if keyed:
        key = parse_key(" ".join(part for part in _spelled(keyed)))
        explicit.append(keyed[0])
        text = text[: keyed.start()] + "," + text[keyed.end() :]
    signature = _METER.search(text)
    if signature and signature[1] in TIME_SIGNATURES:
        meter = signature[1]
        explicit.append(meter)
        text = text[: signature.start()] + "," + text[signature.end() :]
    return bpm, key, meter, text, tuple(explicit)


def _spelled(match: re.Match[str]) -> list[str]:
    groups = match.groups()
    if len(groups) == 1:
        return [groups[0]]
    accidental = (groups[1] or "").replace(" ", "").removeprefix("-")
    mode = {"maj": "major", "min": "minor"}.get(groups[2].lower(), groups[2].lower())
    return [groups[0].upper() + accidental, mode]


def _scan(text: str) -> tuple[list[tuple[str, bool, tuple[Meaning, ...]]], tuple[str, ...]]:
    """Phrases found, longest first from the left, each with whether it is negated; and the words that said nothing."""
    book = phrases()
    tokens = [token.rstrip(".'-&/") or token for token in _TOKEN.findall(text)]
    found: list[tuple[str, bool, tuple[Meaning, ...]]] = []
    ignored: list[str] = []
    index, said = 0, -1
    while index < len(tokens):
        phrase, length = _longest(tokens, index)
        if phrase is not None:
            goes_on = bool(found) and found[-1][1] and index - 1 == said and tokens[said] in ("or", "nor")
            found.append((phrase, goes_on or _negated(tokens, index), book[phrase]))
            said = index + length
        elif tokens[index] not in _FILLER and tokens[index][0].isalnum():
            ignored.append(tokens[index])
        index += length
    return found, tuple(dict.fromkeys(ignored))


def _longest(tokens: list[str], index: int) -> tuple[str | None, int]:
    book = phrases()
    for length in range(min(_LONGEST_PHRASE, len(tokens) - index), 0, -1):
        phrase = " ".join(tokens[index : index + length])
        if phrase in book:
            return phrase, length
    return None, 1


def _negated(tokens: list[str], index: int) -> bool:
    """Whether one of the three words before says no, in the same breath."""
    for token in reversed(tokens[max(0, index - 3) : index]):
        if not token[0].isalnum():
            return False
        if token in _NEGATIONS:
            return True
    return False
