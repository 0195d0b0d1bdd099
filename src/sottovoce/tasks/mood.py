"""Mood: what the pictures and the sound of a clip suggest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sottovoce.audio import Audio, AudioReader, Samples
from sottovoce.engines.base import MoodReader
from sottovoce.engines.catalog import AUTO, MOOD_READERS, Catalog, Ran, options_for
from sottovoce.media.decode import FileReader
from sottovoce.media.probe import MediaInfo, probe
from sottovoce.media.video import Keyframe, glance, keyframes
from sottovoce.moods import Mood
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import EngineName, Options, Request, Source

#: A mood is heard in a few stretches spread over the clip: rate in Hz, how many, how many seconds each.
_RATE = 16_000
_STRETCHES, _STRETCH_SECONDS = 4, 30.0


class ReadMood(Request):
    """Ask for the mood of a video or a recording."""

    kind: Literal["mood"] = "mood"
    source: Annotated[Source, Field(description="the video or recording")]
    engine: Annotated[
        EngineName, Field(description="the mood reader by name, or auto for the first in your order that can")
    ] = AUTO
    options: Annotated[Options, Field(description="options of the mood reader itself")] = Field(default_factory=dict)


def read_mood(request: ReadMood, engines: Catalog, run: TaskRun) -> Outcome:
    """Look and listen, and say what the clip suggests and who says so."""
    path = run.locate(request.source)
    info = probe(path)
    run.report("look", 0)
    pictures = glance(path) if info.has_video else []
    run.report("listen", 40)
    sound = excerpt(FileReader(path, rate=_RATE, channels=1), info.seconds) if info.has_sound else None
    video = path if info.has_video else None
    ran = mood_of(pictures, sound, engines, run, video=video, engine=request.engine, options=request.options)
    return Outcome("mood", report=_report(ran, info))


def mood_of(
    pictures: Sequence[Keyframe],
    sound: Audio | None,
    engines: Catalog,
    run: TaskRun,
    *,
    video: Path | None = None,
    engine: str = AUTO,
    options: dict[str, Any] | None = None,
) -> Ran[MoodReader, Mood]:
    """The mood by the reader asked for, or by the first in the user's order that can; others are recorded as skipped.

    Readers that want larger pictures than `pictures` get those from `video`.
    """

    def call(reader: MoodReader) -> Mood:
        chosen = options_for(reader, options or {})
        return reader.read(_pictures_for(reader, pictures, video), sound, chosen, run)

    return engines.run(MOOD_READERS, engine, call)


def _pictures_for(reader: MoodReader, pictures: Sequence[Keyframe], video: Path | None) -> Sequence[Keyframe]:
    wanted = reader.capabilities.pictures
    if wanted is None or video is None:
        return pictures
    count, width = wanted
    return keyframes(video, count=count, width=width) or pictures


def excerpt(reader: AudioReader, seconds: float) -> Audio:
    """Up to two minutes of a clip about `seconds` long, in stretches spread evenly over it, as one mono sound."""
    collected = Excerpt(reader.rate, seconds)
    for block in reader.blocks(reader.rate):
        collected.push(block)
    return collected.audio()


class Excerpt:
    """Keeps stretches of a stream that passes by block by block."""

    def __init__(self, rate: int, seconds: float) -> None:
        length = round(_STRETCH_SECONDS * rate)
        whole = round(seconds * rate)
        spread = max(0, whole - _STRETCHES * length)
        starts = [0] if spread == 0 else [spread * i // (_STRETCHES - 1) + length * i for i in range(_STRETCHES)]
        self._stretches = [(start, start + (length if spread else _STRETCHES * length)) for start in starts]
        self._rate, self._heard = rate, 0
        self._kept: list[Samples] = [np.zeros((1, 0), np.float32)]

    def push(self, block: Samples) -> None:
        """The next block [channels, frames] of the stream."""
        for start, end in self._stretches:
            first, last = max(start - self._heard, 0), min(end - self._heard, block.shape[1])
            if first < last:
                self._kept.append(block[:, first:last].mean(axis=0, keepdims=True, dtype=np.float32))
        self._heard += block.shape[1]

    def audio(self) -> Audio:
        """What was kept."""
        return Audio(np.concatenate(self._kept, axis=1), self._rate)


def _report(ran: Ran[MoodReader, Mood], info: MediaInfo) -> dict[str, Any]:
    return {
        "mood": ran.result.model_dump(mode="json"),
        "prompt": ran.result.prompt(),
        "engine": ran.engine.name,
        "skipped": [skip.model_dump() for skip in ran.skipped],
        "notes": [],
        "seconds": info.seconds,
        "pictures": info.has_video,
        "sound": info.has_sound,
    }
