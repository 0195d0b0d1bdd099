from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio
from sottovoce.engines.base import Capabilities, EngineOptions, MoodReader, NoConfig, Run
from sottovoce.engines.catalog import MOOD_READERS, Catalog
from sottovoce.engines.keyframes import Keyframes
from sottovoce.media.encode import Format, encode
from sottovoce.media.picture import Keyframe
from sottovoce.moods import Mood
from sottovoce.tasks.mood import ReadMood, excerpt, read_mood
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import validate

RATE = 16_000
ENGINES = Catalog({MOOD_READERS.group: ("vision-llm", "keyframes")})


def report(source: Path, **fields: Any) -> dict[str, Any]:
    request = validate(ReadMood, {"source": {"path": source}, **fields}, local=True)
    return dict(read_mood(request, ENGINES, TaskRun()).report)


def test_a_video_is_read_by_the_first_reader_that_can_and_the_others_are_named(tmp_path: Path, make_video: Any) -> None:
    found = report(make_video(tmp_path / "clip.mp4", 4.0, cuts=(1.0, 2.0)))
    assert Mood.model_validate(found["mood"]).confidence < 0.7
    assert found["engine"] == "keyframes"
    assert [skip["engine"] for skip in found["skipped"]] == ["vision-llm"]
    assert (found["pictures"], found["sound"]) == (True, False)


def test_a_recording_without_pictures_is_read_by_its_sound(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 3 * RATE))
    encode(Audio(noise.astype(np.float32), RATE), tmp_path / "noise.wav", Format("wav", bit_depth="16"))
    found = report(tmp_path / "noise.wav")
    assert (found["pictures"], found["sound"]) == (False, True)
    assert "LUFS" in found["mood"]["description"]


def test_a_reader_asked_for_by_name_is_the_only_one_tried(tmp_path: Path, make_video: Any) -> None:
    clip = make_video(tmp_path / "clip.mp4", 1.0)
    assert report(clip, engine="tone", options={"mood": "playful"})["mood"]["primary_mood"] == "playful"
    with pytest.raises(errors.InvalidBackend):
        report(clip, engine="crystal-ball")


def test_a_reader_that_wants_larger_pictures_gets_as_many_as_it_wants(tmp_path: Path, make_video: Any) -> None:
    seen: list[tuple[float, tuple[int, ...]]] = []

    class Attentive(Keyframes):
        capabilities: ClassVar[Capabilities] = Capabilities(pictures=(3, 96))

        def read(self, frames: Sequence[Keyframe], sound: Audio | None, options: EngineOptions, run: Run) -> Mood:
            seen.extend((frame.seconds, frame.pixels.shape) for frame in frames)
            return super().read(frames, sound, options, run)

    catalog = Catalog({MOOD_READERS.group: ("keyframes",)})
    catalog.preload(MOOD_READERS, "keyframes", cast("MoodReader", Attentive(NoConfig())))
    clip = make_video(tmp_path / "clip.mp4", 8.0, size=(192, 108))
    read_mood(validate(ReadMood, {"source": {"path": clip}}, local=True), catalog, TaskRun())
    assert [seconds for seconds, _ in seen] == pytest.approx([2, 4, 6], abs=0.6)
    assert {shape for _, shape in seen} == {(54, 96, 3)}


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    for path in (tmp_path / "text.mp4", tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(errors.InputError):
            report(path)


def test_a_short_clip_is_heard_whole_and_a_long_one_in_stretches_from_all_over_it() -> None:
    short = np.arange(50 * RATE, dtype=np.float32)[None]
    assert np.array_equal(excerpt(ArrayReader(Audio(short, RATE)), 50).samples, short)
    rising = np.repeat(np.arange(600, dtype=np.float32), 100)[None]
    kept = excerpt(ArrayReader(Audio(rising, 100)), 600).samples
    assert kept.shape[1] == 120 * 100
    assert (kept[0, 0], kept[0, -1]) == (0, 599)
    assert set(np.unique(kept)) > {200.0, 400.0}
