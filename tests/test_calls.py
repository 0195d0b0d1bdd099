"""The studio in one call each, from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sottovoce as sv
from sottovoce.audio import Audio, Samples
from sottovoce.errors import InvalidParameter
from sottovoce.media.encode import encode, format_of


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sv.Studio:
    """A studio with an empty library and the test engines."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "library"))
    for kind in ("GENERATORS", "SEPARATORS", "MOOD_READERS"):
        monkeypatch.setenv(f"SOTTO_ENGINES__{kind}", "tone")
    monkeypatch.chdir(tmp_path)
    return sv.Studio()


@pytest.mark.long
def test_music_can_be_made_scored_with_and_looked_at(studio: sv.Studio, tmp_path: Path) -> None:
    track = sv.generate("calm", duration=5, seed=1, studio=studio)
    clip = tmp_path / "clip.wav"
    encode(Audio(np.full((1, 6 * 48_000), 0.01, np.float32), 48_000), clip, format_of(clip))
    done = sv.score(clip, output="out.flac", plot="duck.png", music=track, studio=studio)
    assert done.report["seconds"] == pytest.approx(6)
    assert not done.tracks
    assert Path("duck.png").read_bytes().startswith(b"\x89PNG")
    assert sv.mood(track, studio=studio).primary_mood == "calm"


def test_stems_of_a_track_stay_with_it_and_those_of_a_file_lie_beside(studio: sv.Studio) -> None:
    track = sv.generate("calm", duration=5, seed=1, studio=studio)
    assert sv.separate(track, only="vocals", studio=studio)[sv.Stem("vocals")].is_relative_to(studio.library.folder)
    assert sv.separate(track.audio, only=["drums"], output="parts", studio=studio) == {
        "drums": Path("parts/drums.flac")
    }


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(9, np.float32), 44_100),
        (np.zeros((2, 0), np.float32), 44_100),
        (np.zeros((2, 9), np.int16), 44_100),
        (np.full((2, 9), np.nan, np.float32), 44_100),
        (np.zeros((2, 9), np.float32), 0),
    ],
    ids=["one row", "empty", "integers", "no numbers", "no rate"],
)
def test_arrays_that_are_no_sound_are_refused(studio: sv.Studio, samples: Samples, rate: int) -> None:
    with pytest.raises(InvalidParameter, match="samples"):
        sv.separate_array(samples, rate=rate, studio=studio)
