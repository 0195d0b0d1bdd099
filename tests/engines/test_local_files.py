from pathlib import Path

import numpy as np
import pytest

from sottovoce import errors
from sottovoce.audio import Audio, Samples
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.dsp.tempo import octave_error, tempo
from sottovoce.engines.base import EngineOptions, Generated, Run
from sottovoce.engines.local_files import LocalFiles, LocalFilesConfig
from sottovoce.media.encode import encode
from sottovoce.media.formats import format_of
from sottovoce.prompt import Prompt

RATE = 24_000


def beat(bpm: float, seconds: float, hertz: float = 220.0) -> Samples:
    """A plucked note on every beat, every fourth one higher."""
    time = np.arange(round(seconds * RATE)) / RATE
    since, number = time % (60 / bpm), np.floor(time * bpm / 60)
    pitch = np.where(number % 4 == 0, 1.5 * hertz, hertz)
    return (0.3 * np.sin(2 * np.pi * pitch * since) * np.exp(-6 * since))[None].astype(np.float32)


def put(folder: Path, name: str, bpm: float = 90, seconds: float = 12, **tags: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(Audio(beat(bpm, seconds), RATE), path, format_of(path), tags=tags)
    return path


def engine(folder: Path) -> LocalFiles:
    return LocalFiles(LocalFilesConfig(local_music_dir=folder))


def made(folder: Path, words: str = "music", seconds: float = 8, seed: int = 1, **wishes: object) -> Generated:
    prompt = Prompt(words, seconds, seed, **wishes)  # type: ignore[arg-type]
    return engine(folder).generate(prompt, EngineOptions(), Run())


def chosen(take: Generated) -> str:
    return take.notes[0].split(",")[0]


def test_a_missing_and_an_empty_folder_are_said_with_a_cure(tmp_path: Path) -> None:
    missing = engine(tmp_path / "nowhere").unavailable()
    empty = engine(tmp_path).unavailable()
    assert missing is not None
    assert "does not exist" in missing.reason
    assert empty is not None
    assert "no music" in empty.reason
    assert "local_music_dir" in empty.cure
    put(tmp_path, "a.flac")
    assert engine(tmp_path).unavailable() is None


def test_other_settings_of_the_section_do_not_matter() -> None:
    assert LocalFilesConfig.model_validate({"local_music_dir": "x", "ducking_ratio": 3}).local_music_dir == Path("x")


@pytest.mark.parametrize("seconds", [6.0, 12.0, 31.7])
def test_the_length_is_exact_and_the_sound_stereo_at_48_khz(tmp_path: Path, seconds: float) -> None:
    put(tmp_path, "song.wav")
    take = made(tmp_path, seconds=seconds)
    assert take.audio.rate == 48_000
    assert take.audio.samples.shape == (2, round(seconds * 48_000))
    assert true_peak_db(take.audio.samples, 48_000) <= -0.9


def test_a_loop_keeps_the_tempo(tmp_path: Path) -> None:
    put(tmp_path, "song.wav", bpm=96, seconds=10.3)
    take = made(tmp_path, seconds=30)
    assert octave_error(tempo(take.audio.samples, 48_000).bpm, 96) < 0.01
    assert "looped" in take.notes[0]


@pytest.mark.long
def test_the_folder_named_by_the_mood_is_chosen(tmp_path: Path) -> None:
    for mood in ("calm", "happy", "sad"):
        put(tmp_path, f"{mood}/{mood}-song.flac")
    for seed in range(4):
        assert chosen(made(tmp_path, mood="happy", seed=seed)) == "happy-song.flac"
        assert chosen(made(tmp_path, "something sad and slow", seed=seed)) == "sad-song.flac"
    assert chosen(made(tmp_path, mood="nostalgic")) == "sad-song.flac"


def test_words_in_the_name_and_tags_count(tmp_path: Path) -> None:
    put(tmp_path, "one.flac", genre="Jazz")
    put(tmp_path, "two piano.flac")
    assert chosen(made(tmp_path, "soft piano")) == "two piano.flac"
    assert chosen(made(tmp_path, "late jazz")) == "one.flac"


def test_the_measured_tempo_counts(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", bpm=80)
    put(tmp_path, "b.wav", bpm=100)
    put(tmp_path, "c.wav", bpm=126)
    assert [chosen(made(tmp_path, bpm=bpm)) for bpm in (80.0, 100.0, 126.0)] == ["a.wav", "b.wav", "c.wav"]
    assert chosen(made(tmp_path, "fast")) == "c.wav"


@pytest.mark.long
def test_a_file_that_is_long_enough_is_chosen(tmp_path: Path) -> None:
    put(tmp_path, "short.wav", seconds=5)
    put(tmp_path, "long.wav", seconds=25)
    assert {chosen(made(tmp_path, seconds=20, seed=seed)) for seed in range(4)} == {"long.wav"}


@pytest.mark.long
def test_the_seed_draws_among_equals_and_gives_the_same_bits(tmp_path: Path) -> None:
    for name in "abcd":
        put(tmp_path, f"{name}.wav")
    assert len({chosen(made(tmp_path, seed=seed)) for seed in range(8)}) > 1
    one, same = made(tmp_path, seed=3, seconds=15), made(tmp_path, seed=3, seconds=15)
    np.testing.assert_array_equal(one.audio.samples, same.audio.samples)


def test_the_asked_loudness_is_met(tmp_path: Path) -> None:
    put(tmp_path, "song.wav")
    take = made(tmp_path, loudness=-20.0)
    assert integrated(take.audio.samples, 48_000) == pytest.approx(-20, abs=0.5)


def test_files_that_cannot_be_read_are_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "calm" / "broken.mp3").write_bytes(b"no music at all" * 50)
    put(tmp_path, "fine.flac", title="Fine")
    take = made(tmp_path, mood="calm")
    assert chosen(take) == "fine.flac"
    assert take.title == "Fine"
    assert any("broken.mp3" in note for note in take.notes)


def test_silence_is_skipped(tmp_path: Path) -> None:
    encode(Audio(np.zeros((1, RATE * 9), np.float32), RATE), tmp_path / "calm.wav", format_of(tmp_path / "calm.wav"))
    put(tmp_path, "fine.flac")
    assert chosen(made(tmp_path, mood="calm")) == "fine.flac"


def test_only_broken_files_are_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(errors.EngineError, match=r"broken\.wav") as raised:
        made(tmp_path)
    assert "local_music_dir" in raised.value.hint


def test_hidden_files_and_other_kinds_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, ".trash/song.wav")
    (tmp_path / "notes.txt").write_text("calm")
    assert engine(tmp_path).unavailable() is not None


def test_paths_stay_out_of_the_result(tmp_path: Path) -> None:
    put(tmp_path, "calm/song.wav")
    take = made(tmp_path)
    assert str(tmp_path) not in " ".join([*take.notes, str(take.title), str(take.options)])
    assert "sha256" in take.notes[0]
