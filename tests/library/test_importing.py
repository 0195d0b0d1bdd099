"""One's own music comes in as it is, measured; what is no music is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeVideo

from sottovoce import errors
from sottovoce.audio import Audio
from sottovoce.library.tracks import Library
from sottovoce.media.encode import encode, format_of


def write(path: Path, samples: np.ndarray, rate: int = 44_100, **tags: str) -> Path:
    encode(Audio(np.asarray(samples, np.float32), rate), path, format_of(path), tags=tags)
    return path


def beats(bpm: float, seconds: float = 12.0, rate: int = 44_100) -> np.ndarray:
    """A chord of A minor struck on every beat."""
    time = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 261.63, 329.63))
    return np.tile(0.2 * chord * np.exp(-(time % (60 / bpm)) * 8), (2, 1))


@pytest.mark.parametrize("ending", ["mp3", "wav", "flac", "m4a", "ogg", "opus"])
def test_each_format_comes_in_as_it_is(library: Library, tmp_path: Path, ending: str) -> None:
    song = write(tmp_path / f"song.{ending}", beats(100), title="Évening", artist="Someone", genre="Folk")
    before = song.read_bytes()
    track = library.import_file(song, tags=["own"])
    assert song.read_bytes() == before == track.audio.read_bytes()
    assert (track.kind, track.engine, track.recipe, track.tags) == ("import", None, None, ("own",))
    assert (track.title, track.genre) == ("Évening", "Folk")
    assert track.seconds == pytest.approx(12.0, abs=1e-4)
    assert track.channels == 2
    assert library.search(text="someone").tracks == (track,)


def test_loudness_tempo_and_key_are_measured(library: Library, tmp_path: Path) -> None:
    track = library.import_file(write(tmp_path / "song.wav", beats(96, 30)))
    assert track.bpm == pytest.approx(96, rel=0.02)
    assert track.key in ("A minor", "C major")
    assert track.lufs is not None
    assert -30 < track.lufs < -10
    assert track.true_peak_db is not None
    assert track.true_peak_db < 0


def test_the_same_bytes_are_the_same_track(library: Library, tmp_path: Path) -> None:
    song = write(tmp_path / "song.flac", beats(100, 2))
    copy = tmp_path / "copy.flac"
    copy.write_bytes(song.read_bytes())
    assert library.import_file(song).id == library.import_file(copy).id
    assert len(library.search().tracks) == 1


def test_the_file_names_what_has_no_title(library: Library, tmp_path: Path) -> None:
    assert library.import_file(write(tmp_path / "-my song.wav", beats(100, 1))).title == "-my song"
    assert library.import_file(write(tmp_path / "b.wav", beats(90, 1)), title="Given").title == "Given"


def test_silence_and_one_sample_are_music_of_a_kind(library: Library, tmp_path: Path) -> None:
    silence = library.import_file(write(tmp_path / "silence.wav", np.zeros((2, 44_100))))
    assert (silence.lufs, silence.true_peak_db, silence.bpm, silence.key) == (None, None, None, None)
    single = library.import_file(write(tmp_path / "one.wav", np.full((1, 1), 0.5)))
    assert single.seconds == pytest.approx(1 / 44_100)


def test_what_is_no_music_is_refused(library: Library, tmp_path: Path, make_video: MakeVideo) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("this is no music")
    cases: dict[Path, type[errors.InputError] | tuple[type[errors.InputError], ...]] = {
        text: (errors.UnsupportedFormat, errors.CorruptMedia),
        make_video(
            tmp_path / "film.mp4", audio=Audio(beats(100, 2).astype(np.float32), 44_100)
        ): errors.UnsupportedFormat,
        tmp_path / "absent.wav": errors.InputUnreadable,
        tmp_path: errors.InputUnreadable,
    }
    for path, kind in cases.items():
        with pytest.raises(kind):
            library.import_file(path)
    assert library.search().tracks == ()


def test_folders_are_searched_for_music(library: Library, tmp_path: Path) -> None:
    deep = tmp_path / "albums" / "first"
    deep.mkdir(parents=True)
    songs = [deep / "b.MP3", deep.parent / "a.wav"]
    for path in (*songs, deep / "cover.jpg"):
        path.touch()
    assert library.music_files([tmp_path / "named.xyz", tmp_path / "albums"]) == [
        tmp_path / "named.xyz",
        *sorted(songs),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.InputUnreadable, match="no music"):
        library.music_files([tmp_path / "empty"])


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "bpm", "key"),
    [("music_calm_acoustic_1.opus", 68, "C major"), ("music_nostalgic_acoustic_1.opus", 78, "F minor")],
)
def test_real_music_is_measured_right(library: Library, clips: Path, name: str, bpm: float, key: str) -> None:
    track = library.import_file(clips / name)
    assert track.bpm == pytest.approx(bpm, rel=0.02)
    assert track.key == key


@pytest.mark.long
def test_speech_has_no_tempo_and_no_key(library: Library, clips: Path) -> None:
    track = library.import_file(clips / "speech_jfk.flac")
    assert (track.bpm, track.key) == (None, None)
