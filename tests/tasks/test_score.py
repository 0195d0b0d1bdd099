"""Score: known mixtures measured, the picture untouched, every setting with an effect, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import av
import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import Audio, AudioReader, Samples, Stem, StemWriter
from sottovoce.dsp.ducking import depth_of
from sottovoce.dsp.levels import decibels
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.engines.base import EngineOptions, Run, Separation, Separator
from sottovoce.engines.catalog import GENERATORS, MOOD_READERS, SEPARATORS, Catalog
from sottovoce.engines.tone import ToneSeparator
from sottovoce.library.cache import Cache
from sottovoce.media.decode import FileReader, decode
from sottovoce.media.encode import Format, encode
from sottovoce.tasks.kept import Shelf
from sottovoce.tasks.outcome import Outcome, TaskRun
from sottovoce.tasks.request import validate
from sottovoce.tasks.score import PRESETS, Score, score

RATE = 48_000
FLOAT = Format("wav", bit_depth="float")
Babble = Callable[[float, int, int], Samples]
ORDERS = {GENERATORS.group: ("tone",), MOOD_READERS.group: ("keyframes",), SEPARATORS.group: ("classical",)}
ENGINES = Catalog(ORDERS)
#: Where the phrases of the test clip begin and end, in seconds.
PHRASES = ((2.0, 5.0), (6.0, 7.0), (10.5, 12.5))
SECONDS = 16.0
#: Where the music is free, before the last phrase and after it.
FREE, AFTER = (8.8, 10.0), (14.3, 14.9)


def run(
    scratch: Path, source: Path, *, engines: Catalog = ENGINES, shelf: Shelf | None = None, **fields: Any
) -> Outcome:
    scratch.mkdir(parents=True, exist_ok=True)
    wishes = {"source": {"path": source}, "seed": 7, **fields}
    return score(validate(Score, wishes, local=True), engines, TaskRun(scratch=scratch, shelf=shelf))


def music_under(outcome: Outcome, clip: Samples) -> Samples:
    """What the score added to the clip: the mix minus the voice at the gain that is reported (no limiting at these levels)."""
    mix = decode(outcome.files["output"]).samples
    return mix - clip * np.float32(10 ** (outcome.report["voice_gain_db"] / 20))


def rms_db(samples: Samples, start: float, end: float) -> float:
    part = samples[:, round(start * RATE) : round(end * RATE)]
    return decibels(float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))))


@pytest.fixture(scope="module")
def talk(babble: Babble) -> Samples:
    """A clip whose phrases begin exactly when they are said to, over a faint room."""
    clip = (1e-4 * np.random.default_rng(0).standard_normal((2, round(SECONDS * RATE)))).astype(np.float32)
    for seed, (start, end) in enumerate(PHRASES):
        first = round(start * RATE)
        phrase = 0.25 * babble(end - start, RATE, seed)
        clip[:, first : first + phrase.shape[1]] += phrase
    return clip


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory, talk: Samples) -> Path:
    path = tmp_path_factory.mktemp("clip") / "talk.wav"
    encode(Audio(talk, RATE), path, FLOAT)
    return path


@pytest.fixture(scope="module")
def music_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steady music: a low chord, long enough for the clip."""
    time = np.arange(round(20 * RATE)) / RATE
    chord = np.sum([0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (110, 138.6, 164.8)], axis=0)
    path = tmp_path_factory.mktemp("music") / "chord.wav"
    encode(Audio(np.tile(chord.astype(np.float32), (2, 1)), RATE), path, FLOAT)
    return path


@pytest.fixture(scope="module")
def ducked(tmp_path_factory: pytest.TempPathFactory, clip_file: Path, music_file: Path) -> Outcome:
    """The clip with the steady music, everything as the settings have it but a shorter fade."""
    return run(tmp_path_factory.mktemp("ducked"), clip_file, music={"path": music_file}, fade_out_seconds=1.0)


def test_the_music_is_lowered_under_speech_by_what_was_asked(ducked: Outcome, talk: Samples) -> None:
    music = music_under(ducked, talk)
    for start, end in PHRASES:
        assert rms_db(music, start, end) == pytest.approx(rms_db(music, *FREE) - depth_of(6), abs=1)


@pytest.mark.long
@pytest.mark.parametrize("ratio", [3.0, 12.0])
def test_another_ratio_is_another_depth(
    tmp_path: Path, talk: Samples, clip_file: Path, music_file: Path, ratio: float
) -> None:
    music = music_under(run(tmp_path, clip_file, music={"path": music_file}, ducking_ratio=ratio), talk)
    for start, end in PHRASES:
        assert rms_db(music, start, end) == pytest.approx(rms_db(music, *FREE) - depth_of(ratio), abs=1)


def test_the_music_is_back_within_the_release_time(ducked: Outcome, talk: Samples) -> None:
    music, release = music_under(ducked, talk), ducked.report["ducking"]["release"]
    level = rms_db(music, *AFTER)
    assert rms_db(music, *FREE) == pytest.approx(level, abs=0.2)
    for end in (7.0, 12.5):
        heard_until = min(dip["end"] for dip in ducked.report["dips"] if dip["end"] >= end)
        assert heard_until < end + 0.4
        assert rms_db(music, heard_until + release, heard_until + release + 0.2) == pytest.approx(level, abs=0.5)


def test_the_music_is_down_before_the_first_syllable_of_every_phrase(ducked: Outcome, talk: Samples) -> None:
    music = music_under(ducked, talk)
    for start, _ in PHRASES:
        assert rms_db(music, start - 0.01, start + 0.01) < rms_db(music, *FREE) - depth_of(6) + 1


def test_the_music_stays_down_over_a_short_pause(ducked: Outcome, talk: Samples) -> None:
    music = music_under(ducked, talk)
    assert rms_db(music, 5.1, 5.9) == pytest.approx(rms_db(music, *FREE) - depth_of(6), abs=1)


@pytest.mark.long
def test_levels_speech_at_minus_sixteen_and_music_below_it_by_what_was_asked(
    tmp_path: Path, talk: Samples, clip_file: Path, music_file: Path
) -> None:
    for volume in (-6.0, -14.0):
        outcome = run(
            tmp_path / f"{volume}", clip_file, music={"path": music_file}, music_volume_db=volume, ducking_ratio=1,
            fade_in_seconds=0, fade_out_seconds=0,
        )  # fmt: skip
        assert integrated(music_under(outcome, talk), RATE) == pytest.approx(-16 + volume, abs=0.3)
    voice = decode(run(tmp_path, clip_file, no_music=True).files["output"]).samples
    assert integrated(voice[:, 2 * RATE : 5 * RATE], RATE) == pytest.approx(-16, abs=1)


def test_the_voice_is_only_made_louder_never_moved(tmp_path: Path, talk: Samples, clip_file: Path) -> None:
    outcome = run(tmp_path, clip_file, no_music=True)
    assert rms_db(music_under(outcome, talk), 0, SECONDS) < -80
    assert outcome.report["engine"] is None
    assert outcome.report["dips"] == []


def test_fades_are_as_long_as_asked(tmp_path: Path, talk: Samples, clip_file: Path, music_file: Path) -> None:
    fades: dict[str, Any] = {"fade_in_seconds": 1.0, "fade_out_seconds": 4.0}
    music = music_under(run(tmp_path, clip_file, music={"path": music_file}, **fades), talk)
    level = rms_db(music, *FREE)
    assert rms_db(music, 0.45, 0.55) == pytest.approx(level - 6, abs=1)
    assert rms_db(music, 1.1, 1.5) == pytest.approx(level, abs=0.2)
    assert rms_db(music, 13.9, 14.1) == pytest.approx(level - 6, abs=1)
    assert rms_db(music, 15.99, 16) < level - 30


@pytest.mark.long
def test_the_threshold_decides_what_lowers_the_music(tmp_path: Path, clip_file: Path, music_file: Path) -> None:
    dips = [
        len(
            run(tmp_path / str(threshold), clip_file, music={"path": music_file}, ducking_threshold=threshold).report[
                "dips"
            ]
        )
        for threshold in (0.02, 0.9)
    ]
    assert dips == [2, 0]


@pytest.mark.long
def test_presets_move_the_music_differently(tmp_path: Path, clip_file: Path, music_file: Path) -> None:
    depths = {
        preset: run(tmp_path / preset, clip_file, music={"path": music_file}, preset=preset).report["depth_db"]
        for preset in PRESETS
    }
    assert depths["subtle"] < depths["speech"] == pytest.approx(15.56, abs=0.01)
    assert depths["speech"] < depths["strong"]


def test_the_report_tells_the_whole_story(ducked: Outcome) -> None:
    report = ducked.report
    assert len(report["gain_curve"]["decibels"]) == pytest.approx(SECONDS * report["gain_curve"]["rate"], abs=2)
    assert min(report["gain_curve"]["decibels"]) == pytest.approx(-15.56, abs=0.01)
    assert [dip["causes"] for dip in report["dips"]] == [["speech"]] * 2
    assert [cause["start"] for cause in report["dips"][0]["because"]] == pytest.approx([2, 6], abs=0.3)
    assert report["seconds_ducked"] == pytest.approx(sum(dip["end"] - dip["start"] for dip in report["dips"]), abs=3)
    assert report["voice_lufs"] + report["voice_gain_db"] == pytest.approx(-16, abs=0.02)
    assert report["inspection"]["frames"] == SECONDS * RATE


def test_the_mix_never_exceeds_its_ceiling(tmp_path: Path, talk: Samples, music_file: Path) -> None:
    shouting = np.concatenate([talk, 3.9 * talk[:, 2 * RATE : 5 * RATE]], axis=1)
    encode(Audio(np.clip(shouting, -1, 1), RATE), tmp_path / "loud.wav", FLOAT)
    outcome = run(
        tmp_path / "out", tmp_path / "loud.wav", music={"path": music_file}, music_volume_db=0, ducking_ratio=1
    )
    mix = decode(outcome.files["output"])
    assert true_peak_db(mix.samples, mix.rate) <= -1 + 0.05


def test_music_is_made_to_the_clips_length_and_every_take_is_filed(tmp_path: Path, clip_file: Path) -> None:
    outcome = run(tmp_path, clip_file, prompt="a calm chord", engine="tone", versions=2)
    assert [decode(track.audio).frames for track in outcome.tracks] == [SECONDS * RATE] * 2
    assert [track.tags for track in outcome.tracks] == [("score", "take-1"), ("score", "take-2")]
    assert [track.recipe.seed for track in outcome.tracks] == [7, 8]
    assert outcome.report["take"] in {1, 2}
    assert outcome.report["engine"] == "tone"
    assert decode(outcome.files["output"]).frames == SECONDS * RATE


def test_the_mood_of_the_clip_becomes_the_words_unless_words_are_given(tmp_path: Path, clip_file: Path) -> None:
    read = run(tmp_path / "read", clip_file)
    assert read.report["mood"]["engine"] == "keyframes"
    assert read.tracks[0].recipe.request["mood"] == read.report["mood"]["primary_mood"]
    asked = run(tmp_path / "asked", clip_file, mood="playful", genre="jazz")
    assert asked.report["mood"] is None
    assert asked.tracks[0].recipe.request["mood"] == "playful"
    assert "jazz" in asked.tracks[0].recipe.request["prompt"]


def test_without_auto_music_nothing_is_added_unless_it_was_asked_for(tmp_path: Path, clip_file: Path) -> None:
    assert run(tmp_path, clip_file, auto_music=False).report["engine"] is None
    source = {"path": clip_file}
    for asked in ({"mood": "calm"}, {"prompt": "calm"}, {"music": source}, {"engine": "tone"}):
        assert validate(Score, {"source": source, "auto_music": False, **asked}, local=True).wants_music


def test_the_family_of_the_settings_is_tried_first_and_its_skips_are_recorded(tmp_path: Path, clip_file: Path) -> None:
    report = run(tmp_path, clip_file, music_source="musicgen").report
    assert report["engine"] == "tone"
    assert [skip["engine"] for skip in report["skipped"]] == ["musicgen", "musicgen-api"]


def test_a_short_file_is_looped_to_the_clips_length(tmp_path: Path, talk: Samples, clip_file: Path) -> None:
    rng = np.random.default_rng(3)
    beat = np.concatenate(
        [0.3 * rng.standard_normal(2400) * np.exp(-np.arange(2400) / 500), np.zeros(RATE // 2 - 2400)]
    )
    encode(Audio(np.tile(beat.astype(np.float32), (2, 12)), RATE), tmp_path / "beat.wav", FLOAT)
    outcome = run(tmp_path / "out", clip_file, music={"path": tmp_path / "beat.wav"}, ducking_ratio=1)
    music = music_under(outcome, talk)
    for start in range(3, 12):
        assert rms_db(music, start, start + 1) == pytest.approx(rms_db(music, 4, 5), abs=1.5)
    assert any("looped" in note for note in outcome.report["notes"])


def test_a_missing_unreadable_empty_or_silent_music_file_is_an_error_and_never_replaced(
    tmp_path: Path, clip_file: Path
) -> None:
    text, empty, silent = (tmp_path / name for name in ("text.mp3", "empty.wav", "silent.wav"))
    text.write_text("no music")
    empty.touch()
    encode(Audio(np.zeros((2, 3 * RATE), np.float32), RATE), silent, FLOAT)
    for path in (tmp_path / "missing.mp3", text, empty, silent):
        with pytest.raises(errors.InputError):
            run(tmp_path / "out", clip_file, music={"path": path})
        assert not list((tmp_path / "out").glob("*scored*"))


@pytest.mark.parametrize(
    "fields",
    [
        {"music": {"path": "song.mp3"}, "prompt": "calm"},
        {"no_music": True, "prompt": "calm"},
        {"no_music": True, "duck_stems": 4},
        {"duck_stems": 3},
        {"ducking_ratio": 0.5},
        {"ducking_ratio": 21},
        {"ducking_threshold": 1.1},
        {"music_volume_db": 1},
        {"fade_in_seconds": 11},
        {"fade_out_seconds": float("nan")},
        {"preset": "loud"},
        {"versions": 0},
        {"unknown": 1},
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.RequestError):
        validate(Score, {"source": {"path": "clip.mp4"}, **fields}, local=True)


@pytest.mark.parametrize("ending", ["xyz", "mp4"])
def test_a_type_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, clip_file: Path, ending: str) -> None:
    with pytest.raises(errors.UnsupportedFormat):
        run(tmp_path / "out", clip_file, music={"path": tmp_path / "missing.wav"}, format=ending)


def test_the_picture_is_bit_identical_and_the_sound_stays_in_place(
    tmp_path: Path, make_video: Any, talk: Samples, music_file: Path
) -> None:
    video = make_video(tmp_path / "talk.mp4", SECONDS, audio=Audio(talk, RATE), cuts=(5.0, 9.0))
    outcome = run(tmp_path / "out", video, music={"path": music_file}, music_volume_db=-20)
    output = outcome.files["output"]
    assert packets(video) == packets(output)
    before, after = decode(video).samples[0], decode(output).samples[0]
    assert FileReader(output).frames == pytest.approx(SECONDS * RATE, abs=1024)
    for start, end in (PHRASES[0], PHRASES[-1]):
        assert abs(lag(before, after, start, end)) <= 16


def test_a_video_without_sound_gets_music_and_one_with_nothing_to_do_is_refused(
    tmp_path: Path, make_video: Any
) -> None:
    silent = make_video(tmp_path / "silent.mp4", 6.0)
    outcome = run(tmp_path / "out", silent)
    music = decode(outcome.files["output"]).samples
    assert integrated(music[:, 2 * RATE : 3 * RATE], RATE) == pytest.approx(-22, abs=2)
    with pytest.raises(errors.InvalidParameter):
        run(tmp_path / "none", silent, no_music=True)


@pytest.mark.long
def test_voices_are_found_in_the_stem_of_a_separator(tmp_path: Path, clip_file: Path, music_file: Path) -> None:
    # Its vocals are 0.4 of the whole, and the threshold is about them.
    outcome = run(tmp_path, clip_file, music={"path": music_file}, separator="tone", ducking_threshold=0.4 * 0.02)
    assert len(outcome.report["dips"]) == 2
    assert any("vocals split off by tone" in note for note in outcome.report["notes"])


def test_the_music_changes_its_mood_where_scenes_say_so(tmp_path: Path, clip_file: Path) -> None:
    scenes = [{"start": 0, "mood": "calm"}, {"start": 8, "mood": "sad"}]
    (track,) = run(tmp_path / "two", clip_file, engine="tone", scenes=scenes).tracks
    assert [section.name for section in track.recipe.sections] == ["calm", "sad"]
    late = [{"start": 12, "mood": "sad"}]
    refused: tuple[dict[str, Any], ...] = ({"scenes": late, "engine": "tone"}, {"scenes": scenes, "no_music": True})
    for wishes in refused:
        with pytest.raises(errors.InvalidParameter, match=r"scene"):
            run(tmp_path / "no", clip_file, **wishes)


def test_a_clip_is_separated_once(tmp_path: Path, clip_file: Path, music_file: Path) -> None:
    shelf = Cache(tmp_path / "kept")
    notes = [
        run(tmp_path / name, clip_file, shelf=shelf, music={"path": music_file}, separator="tone").report["notes"]
        for name in ("first", "again")
    ]
    assert "voices found in the vocals split off by tone" in notes[0]
    assert "voices found in the vocals kept from an earlier separation by tone" in notes[1]


@pytest.mark.long
def test_the_first_ready_network_of_the_order_finds_the_voices_unless_none_is_asked_for(
    tmp_path: Path, clip_file: Path, music_file: Path
) -> None:
    engines = Catalog(ORDERS | {SEPARATORS.group: ("gone", "tone", "classical")})
    music = {"path": music_file}
    default = run(tmp_path / "default", clip_file, music=music, engines=engines).report["voice_stems"]
    assert (default["engine"], [skip["engine"] for skip in default["skipped"]]) == ("tone", ["gone"])
    nothing: dict[str, Any] = {"engine": None, "model": None, "skipped": []}
    asked: tuple[dict[str, Any], ...] = ({"music": music, "separator": "none"}, {"no_music": True})
    for wishes in asked:
        assert run(tmp_path / "none", clip_file, engines=engines, **wishes).report["voice_stems"] == nothing


class Known(ToneSeparator):
    """A separator that knows the stems of its source."""

    name: ClassVar[str] = "known"
    stems: ClassVar[dict[Stem, Samples]] = {}

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        assert source.frames == round(SECONDS * RATE)
        for stem, samples in self.stems.items():
            sink.write(stem, samples[:, : source.frames])
        return Separation(tuple(self.stems))


@pytest.fixture(scope="module")
def song() -> dict[Stem, Samples]:
    """Four steady stems that have nothing to do with each other."""
    frames, draw = round(SECONDS * RATE), np.random.default_rng(4)
    time = np.arange(frames) / RATE
    tones = {"bass": 0.05 * np.sin(2 * np.pi * 70 * time), "vocals": 0.04 * np.sin(2 * np.pi * 660 * time)}
    hiss = {"drums": 0.03 * draw.standard_normal(frames), "other": 0.03 * draw.standard_normal(frames)}
    return {Stem(name): np.tile(part.astype(np.float32), (2, 1)) for name, part in {**tones, **hiss}.items()}


@pytest.fixture(scope="module")
def song_file(tmp_path_factory: pytest.TempPathFactory, song: dict[Stem, Samples]) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.wav"
    encode(Audio(np.sum(list(song.values()), axis=0, dtype=np.float32), RATE), path, FLOAT)
    return path


@pytest.fixture(scope="module")
def knowing(song: dict[Stem, Samples]) -> Catalog:
    engines = Catalog(ORDERS | {SEPARATORS.group: ("known",)})
    known = Known(Known.Config())
    known.stems = song  # type: ignore[misc]
    engines.preload(SEPARATORS, "known", cast("Separator", known))
    return engines


def stem_levels(music: Samples, stems: dict[Stem, Samples], start: float, end: float) -> dict[str, float]:
    """How loud each of the stems is in the music, in dB beside itself."""
    part = slice(round(start * RATE), round(end * RATE))
    known = np.stack([stem[0, part] for stem in stems.values()], axis=1).astype(np.float64)
    gains = np.linalg.lstsq(known, music[0, part].astype(np.float64), rcond=None)[0]
    return {str(stem): decibels(abs(float(gain))) for stem, gain in zip(stems, gains, strict=True)}


@pytest.mark.long
@pytest.mark.parametrize(
    ("count", "ratios"),
    [
        (4, {"drums": 1.0, "bass": 0.7 * 6, "other": 0.8 * 6, "vocals": 6.0}),
        (2, {"drums": 1.0, "bass": 1.0, "other": 1.0, "vocals": 6.0}),
    ],
)
def test_each_part_of_the_music_is_lowered_by_its_own_amount(
    tmp_path: Path,
    talk: Samples,
    clip_file: Path,
    song: dict[Stem, Samples],
    song_file: Path,
    knowing: Catalog,
    count: int,
    ratios: dict[str, float],
) -> None:
    outcome = run(
        tmp_path, clip_file, music={"path": song_file}, duck_stems=count, separator="none", fade_out_seconds=1.0,
        engines=knowing,
    )  # fmt: skip
    music = music_under(outcome, talk)
    free = stem_levels(music, song, *FREE)
    for start, end in PHRASES:
        under = stem_levels(music, song, start, end)
        assert {stem: free[stem] - under[stem] for stem in ratios} == pytest.approx(
            {stem: depth_of(ratio) for stem, ratio in ratios.items()}, abs=0.3
        )
    told = outcome.report["music_parts"]
    assert told["engine"] == "known"
    depths = {stem: part["depth_db"] for part in told["parts"] for stem in part["made_of"]}
    assert depths == pytest.approx(
        {stem: depth_of(ratio) for stem, ratio in ratios.items() if stem in depths}, abs=0.01
    )
    whole = {time: rms_db(music, *time) for time in (FREE, PHRASES[0])}
    assert told["lowered_db"] == pytest.approx(whole[FREE] - whole[PHRASES[0]], abs=0.5)


@pytest.mark.long
def test_parts_that_are_not_lowered_are_the_music_to_the_last_bit(
    tmp_path: Path, clip_file: Path, song_file: Path, knowing: Catalog
) -> None:
    wishes: dict[str, Any] = {"music": {"path": song_file}, "ducking_ratio": 1, "separator": "none", "engines": knowing}
    mixes = [
        decode(run(tmp_path / str(count), clip_file, duck_stems=count, **wishes).files["output"]).samples
        for count in (None, 2, 4)
    ]
    assert np.array_equal(mixes[0], mixes[1])
    assert np.array_equal(mixes[0], mixes[2])


@pytest.mark.long
def test_an_engines_own_stems_are_its_musics_parts(tmp_path: Path, clip_file: Path) -> None:
    outcome = run(tmp_path, clip_file, prompt="a calm chord", engine="tone", duck_stems=4, plot=True)
    assert outcome.files["plot"].stat().st_size > 20_000
    assert outcome.report["music_parts"]["engine"] == "tone"
    parts = {part["name"]: part["made_of"] for part in outcome.report["music_parts"]["parts"]}
    assert parts == {"bass": ["bass"], "vocals": ["melody"], "other": ["harmony"]}
    assert sorted(outcome.tracks[0].stems) == ["bass", "harmony", "melody"]


@pytest.mark.long
def test_the_plot_is_a_picture(tmp_path: Path, clip_file: Path, music_file: Path) -> None:
    plot = run(tmp_path, clip_file, music={"path": music_file}, plot=True).files["plot"]
    with av.open(str(plot)) as picture:
        frame = next(picture.decode(video=0))
        assert frame.width > 1000
        assert int(np.ptp(frame.to_ndarray(format="gray"))) > 150


@pytest.mark.clips
def test_a_real_voice_gets_its_music_out_of_the_way(tmp_path: Path, clips: Path) -> None:
    outcome = run(tmp_path, clips / "speech_jfk.flac", music={"path": clips / "music_calm_acoustic_1.opus"})
    assert outcome.report["speech_seconds"] == pytest.approx(8.8, abs=0.4)
    assert outcome.report["dips"][0]["end"] == pytest.approx(10.7, abs=0.4)


@pytest.mark.long
@pytest.mark.clips
def test_the_soundtrack_steps_aside_for_a_singer(tmp_path: Path, clips: Path) -> None:
    report = run(tmp_path, clips / "singing_vocadito_10.wav", prompt="calm", engine="tone").report
    assert any("clip music" in dip["causes"] and dip["depth_db"] == 26 for dip in report["dips"])


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def lag(before: Samples, after: Samples, start: float, end: float) -> int:
    """By how many samples a stretch comes later in `after`."""
    reach = 4800
    first, last = round(start * RATE), round(end * RATE)
    one, other = before[first:last], after[first - reach : last + reach]
    size = len(one) + len(other)
    likeness = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size)), size)
    return int(np.argmax(likeness[: 2 * reach])) - reach
