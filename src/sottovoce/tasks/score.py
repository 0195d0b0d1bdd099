"""Score: music softly under the voices of a video or a recording."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, AudioReader
from sottovoce.dsp.ducking import Beside, Ducking, GainCurve, depth_of, gain_curve
from sottovoce.dsp.inspect import inspect
from sottovoce.engines.base import MoodReader
from sottovoce.engines.catalog import AUTO, Catalog, Ran, parse_engine
from sottovoce.media.encode import encode, format_of
from sottovoce.media.probe import MediaInfo, probe
from sottovoce.media.remux import check_ending
from sottovoce.media.video import Cut, Keyframe, replace_sound
from sottovoce.moods import Genre, Mood, MoodName
from sottovoce.progress import within
from sottovoce.tasks.clip import NONE, Clip, Key, open_clip, voice_key
from sottovoce.tasks.listening import NO_VOICE, Heard, causes_of, voice_level
from sottovoce.tasks.mixture import Fades, Layer, Mixture
from sottovoce.tasks.mood import mood_of
from sottovoce.tasks.music_parts import Count, Parts, parts_of
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import (
    LARGEST_SEED,
    EngineName,
    Options,
    Request,
    Scenes,
    Seed,
    Source,
    Words,
    check_scenes,
)
from sottovoce.tasks.score_plot import draw, require_plots
from sottovoce.tasks.score_report import Scored, report
from sottovoce.tasks.side_by_side import Ahead, Aside, Overheard
from sottovoce.tasks.soundtrack import Soundtrack, Wish, from_file, made

MusicSource = Literal["auto", "local", "composer", "musicgen", "ace_step"]
Preset = Literal["speech", "subtle", "strong"]

#: The engines of each family, in the order in which they are tried before the user's own order.
FAMILIES: dict[MusicSource, tuple[str, ...]] = {
    "auto": (),
    "local": ("local-files",),
    "composer": ("composer",),
    "musicgen": ("musicgen", "musicgen-api"),
    "ace_step": ("ace-step", "ace-step-api"),
}
#: How the music moves: `speech` as the settings have it, `subtle` less and slower, `strong` further and faster.
PRESETS: dict[Preset, Ducking] = {
    "speech": Ducking(depth_of(6)),
    "subtle": Ducking(depth_of(3), attack=0.5, hold=2.0, release=2.0),
    "strong": Ducking(depth_of(12), attack=0.2, hold=1.8, release=1.0),
}


#: So many cuts of a clip, the heaviest, are told to the engine.
_MOST_CUES = 500


class Score(Request):
    """Ask for music under a clip; what is left out, the settings and the clip's own mood decide."""

    kind: Literal["score"] = "score"
    source: Annotated[Source, Field(description="the video or recording")]
    music: Annotated[Source | None, Field(description="the music to use, looped or faded to fit")] = None
    prompt: Annotated[Words | None, Field(description="what the music should be like, in plain words")] = None
    no_music: Annotated[bool, Field(description="add no music, only bring the voices to their loudness")] = False
    auto_music: Annotated[bool, Field(description="whether to add music when nothing about the music was said")] = True
    music_source: Annotated[MusicSource, Field(description="the family of engines that auto tries first")] = "auto"
    mood: Annotated[
        MoodName | None, Field(description="one of the fifteen moods; left out, it is read from the clip")
    ] = None
    genre: Annotated[Genre | None, Field(description="one of the fifteen genres")] = None
    engine: Annotated[
        EngineName, Field(description="the engine by name, or auto for the first in your order that can")
    ] = AUTO
    seed: Annotated[Seed | None, Field(description="the same seed gives the same music; left out, one is drawn")] = None
    versions: Annotated[
        int, Field(ge=1, le=8, description="how many takes; all are filed, the best by inspection is used")
    ] = 1
    take: Annotated[int | None, Field(ge=1, le=8, description="use this take of an earlier score of the clip")] = None
    preset: Annotated[
        Preset | None, Field(description="speech, subtle or strong: how far and how fast the music moves")
    ] = None
    ducking_threshold: Annotated[
        float, Field(ge=0, le=1, description="RMS in the clip above which sound lowers the music")
    ] = 0.02
    ducking_ratio: Annotated[float, Field(ge=1, le=20, description="the music is lowered by 20*log10(ratio) dB")] = 6.0
    music_volume_db: Annotated[
        float, Field(ge=-20, le=0, description="the music against the speech before it is lowered, in dB")
    ] = -6.0
    fade_in_seconds: Annotated[float, Field(ge=0, le=10, description="fade of the music at the start")] = 2.0
    fade_out_seconds: Annotated[float, Field(ge=0, le=10, description="fade of the music at the end")] = 3.0
    separator: Annotated[
        EngineName | None,
        Field(
            description="find the voices in the vocals this separator (or auto, or none) splits off; left out, a network's if one is ready"
        ),
    ] = None
    duck_stems: Annotated[
        Count | None,
        Field(
            description="lower the music in parts: 2, the melody alone; 4, vocals by the ratio, other by 0.8 of it, bass by 0.7, drums not at all"
        ),
    ] = None
    plot: Annotated[bool, Field(description="draw speech, gain and levels as a picture")] = False
    format: Annotated[
        str | None, Field(pattern=r"^[a-z0-9]{2,5}$", description="file type of the result; left out, the clip's")
    ] = None
    scenes: Annotated[
        Scenes, Field(description="how the music's mood changes: each from its start on, in rising order")
    ] = ()
    options: Annotated[Options, Field(description="options of the engine itself")] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_music(self) -> Self:
        asked = [name for name in ("music", "prompt", "take") if getattr(self, name) is not None]
        if len(asked) > 1 and asked != ["music", "take"]:
            raise ValueError(f"{' and '.join(asked)} contradict each other; give one of them")
        wishes = [*asked, *(name for name in ("mood", "genre", "preset") if getattr(self, name) is not None)]
        wishes += [
            name
            for name, usual in (("engine", AUTO), ("versions", 1), ("duck_stems", None), ("scenes", ()))
            if getattr(self, name) != usual
        ]
        if self.no_music and wishes:
            raise ValueError(f"no_music and {wishes[0]} contradict each other; give one of them")
        if self.music is not None and self.scenes:
            raise ValueError("music and scenes contradict each other; music that is there has moods of its own")
        return self

    @property
    def wants_music(self) -> bool:
        """Whether music is added: unless it is off, or nothing was said of it and `auto_music` is off."""
        said = self.music or self.prompt or self.mood or self.scenes or self.take or self.engine != AUTO
        return not self.no_music and (self.auto_music or bool(said))

    @property
    def ducking(self) -> Ducking:
        """How the music moves: as the preset says, or by `ducking_ratio` at the pace of `speech`."""
        return PRESETS[self.preset] if self.preset else replace(PRESETS["speech"], depth=depth_of(self.ducking_ratio))


def score(request: Score, engines: Catalog, run: TaskRun) -> Outcome:
    """Mix the clip with music and write it to the scratch folder: `output`, and `plot` where asked for.

    Tracks are the takes that were made. The report has the gain curve, every dip with its causes, levels, and who made the music.
    """
    if request.plot:
        require_plots()
    if request.seed is None:
        request = request.model_copy(update={"seed": secrets.randbelow(LARGEST_SEED + 1)})
    info = probe(run.locate(request.source))
    output = _output(request, info, run)
    clip = _clip(request, info, engines, run)
    with Aside(clip.heard) as heard:
        beside = replace(run, progress=heard.watched(run.progress))
        mood, music = _music(request, clip, engines, beside) if request.wants_music else (None, None)
        parts = _parts(request, music, engines, beside) if music else None
        scored = _decided(request, clip, heard.result(), mood, music, parts)
    mix = Overheard(Ahead(_mixture(clip, scored, run)), inspect)
    _write(mix, info, output)
    files = {"output": output, **({"plot": _plot(scored, run)} if request.plot else {})}
    return Outcome("score", report(scored, mix.result()), tracks=music.takes if music else (), files=files)


def _output(request: Score, info: MediaInfo, run: TaskRun) -> Path:
    """Where the mix goes; UnsupportedFormat, before any work, if its type cannot be written."""
    ending = request.format or info.path.suffix.lstrip(".").lower()
    output = run.scratch / f"scored.{ending}"
    if info.has_video:
        check_ending(output)
    else:
        format_of(output)
    return output


def _decided(
    request: Score,
    clip: Clip,
    heard: Heard | None,
    mood: Ran[MoodReader, Mood] | None,
    music: Soundtrack | None,
    parts: Parts | None,
) -> Scored:
    """What the mix is to be, from what was heard."""
    causes, faint = causes_of(heard, request.ducking_threshold) if heard else ((), ())
    return Scored(
        frames=clip.frames,
        heard=heard,
        key=clip.key,
        voice=voice_level(heard) if heard else NO_VOICE,
        music=music,
        parts=parts,
        music_volume_db=request.music_volume_db,
        fades=Fades(request.fade_in_seconds, request.fade_out_seconds),
        ducking=request.ducking,
        threshold=request.ducking_threshold,
        causes=causes,
        curve=gain_curve(causes, request.ducking) if music else GainCurve(),
        mood=mood,
        notes=(*clip.key.notes, *faint),
    )


def _clip(request: Score, info: MediaInfo, engines: Catalog, run: TaskRun) -> Clip:
    if not info.has_sound and not request.wants_music:
        raise errors.InvalidParameter(
            f"{info.path.name} has no sound and no music was asked for", hint="Leave out --no-music."
        )
    part = replace(run, progress=within(run.progress, 0, 15))
    keyed = info.has_sound and (request.wants_music or request.separator is not None)
    key = voice_key(request.source, request.separator, engines, part) if keyed else Key()
    return open_clip(info, part, key=key, look=request.wants_music and request.music is None)


def _music(
    request: Score, clip: Clip, engines: Catalog, run: TaskRun
) -> tuple[Ran[MoodReader, Mood] | None, Soundtrack]:
    part = replace(run, progress=within(run.progress, 15, 50 if request.duck_stems else 70))
    if request.music is not None:
        given = from_file(part.locate(request.music), clip.frames, fade_out=request.fade_out_seconds)
        return None, replace(given, take=request.take)
    if request.take is not None:
        raise errors.InvalidParameter(
            f"no take {request.take} of an earlier score of {clip.info.path.name} is in the library",
            hint="Score it first; --versions 3 makes three takes.",
        )
    _check_scenes(request, clip)
    pictures, cuts = (clip.seen.pictures, clip.seen.cuts) if clip.seen else ((), ())
    mood = None if request.prompt or request.mood or request.scenes else _read_mood(pictures, clip, engines, part)
    return mood, made(_wish(request, mood.result if mood else None, cuts), clip.frames, engines, part)


def _check_scenes(request: Score, clip: Clip) -> None:
    try:
        check_scenes(request.scenes, clip.frames / DELIVERY_RATE)
    except ValueError as error:
        raise errors.InvalidParameter(str(error)) from None


def _parts(request: Score, music: Soundtrack, engines: Catalog, run: TaskRun) -> Parts | None:
    if request.duck_stems is None:
        return None
    asked = request.separator if request.separator and parse_engine(request.separator) != NONE else AUTO
    return parts_of(music, request.duck_stems, asked, engines, replace(run, progress=within(run.progress, 50, 70)))


def _read_mood(pictures: Sequence[Keyframe], clip: Clip, engines: Catalog, run: TaskRun) -> Ran[MoodReader, Mood]:
    part = replace(run, progress=within(run.progress, 0, 5))
    return mood_of(pictures, clip.excerpt, engines, part, video=clip.info.path if clip.info.has_video else None)


def _wish(request: Score, mood: Mood | None, cuts: Sequence[Cut]) -> Wish:
    said = f"{request.mood or ''} {request.genre or ''} background music"
    words = request.prompt or (mood.prompt() if mood else said)
    assert request.seed is not None, "the seed is drawn before the work begins"
    return Wish(
        words=" ".join(words.split()),
        mood=request.mood or (mood.primary_mood if mood else None),
        genre=request.genre or (mood.genre_suggestions[0] if mood else None),
        engine=request.engine,
        first=FAMILIES[request.music_source],
        seed=request.seed,
        versions=request.versions,
        cuts=_heaviest(cuts),
        options=request.options,
        stems=request.duck_stems is not None,
        scenes=request.scenes,
    )


def _heaviest(cuts: Sequence[Cut]) -> tuple[float, ...]:
    chosen = sorted(cuts, key=lambda cut: -cut.weight)[:_MOST_CUES]
    return tuple(sorted(cut.seconds for cut in chosen))


def _mixture(clip: Clip, scored: Scored, run: TaskRun) -> Mixture:
    voice = (Layer(clip.sound, scored.voice.gain_db),) if clip.sound else ()
    music = _music_layers(scored.music, scored) if scored.music else ()
    return Mixture((*voice, *music), clip.frames, replace(run, progress=within(run.progress, 70, 95)))


def _music_layers(music: Soundtrack, scored: Scored) -> tuple[Layer, ...]:
    """The music as the rest of its parts moves, and beside it what each other part moves differently."""
    if scored.parts is None:
        return (Layer(music.reader, scored.music_gain_db, scored.curve, scored.fades),)
    whole = scored.curve_of(scored.parts.rest)
    beside = [(part.reader, scored.curve_of(part)) for part in scored.parts.parts if part.reader]
    return (
        Layer(music.reader, scored.music_gain_db, whole, scored.fades),
        *(Layer(reader, scored.music_gain_db, Beside(own, whole), scored.fades) for reader, own in beside),
    )


def _write(mix: AudioReader, info: MediaInfo, output: Path) -> None:
    if info.has_video:
        replace_sound(info.path, mix, output)
    else:
        encode(mix, output, format_of(output), tags=info.tags)


def _plot(scored: Scored, run: TaskRun) -> Path:
    path = run.scratch / "ducking.png"
    draw(scored, path)
    return path
