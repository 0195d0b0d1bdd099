"""Every documented setting changes what it is about; a key without a test here fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sottovoce.audio import Audio
from sottovoce.library.track import Track
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.settings import load_settings, rows
from sottovoce.studio import Done, Studio
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.mood import ReadMood
from sottovoce.tasks.score import Score
from sottovoce.tasks.separate import Separate

RATE = 48_000


@dataclass(frozen=True)
class Bench:
    """A folder with a clip in it, and the tasks done under given settings."""

    folder: Path

    @property
    def clip(self) -> Path:
        """Twelve seconds of quiet noise with a burst of loud noise from 5 to 6.5 s."""
        path = self.folder / "clip.wav"
        if not path.exists():
            noise = np.random.default_rng(5).standard_normal(12 * RATE) * 0.0005
            noise[5 * RATE : round(6.5 * RATE)] += np.random.default_rng(6).standard_normal(round(1.5 * RATE)) * 0.08
            encode(Audio(np.stack([noise, noise]).astype(np.float32), RATE), path, format_of(path))
        return path

    def studio(self, **settings: Any) -> Studio:
        keys = {name.replace("__", "."): value for name, value in settings.items()}
        defaults = {"library.directory": str(self.folder / "library"), "engines.generators": ["tone"]}
        return Studio(load_settings(defaults | keys))

    def generate(self, **settings: Any) -> Track:
        with self.studio(**settings) as studio:
            return studio.run(studio.request(Generate, {"prompt": "x", "duration": 5, "seed": 3})).tracks[0]

    def score(self, **settings: Any) -> tuple[Done, np.ndarray]:
        """What was done, and the sound of the result."""
        output = self.folder / "out.wav"
        with self.studio(**settings) as studio:
            done = studio.score(studio.request(Score, {"source": {"path": self.clip}, "seed": 3}), output)
        return done, decode(output).samples


def level(samples: np.ndarray, start: float, end: float) -> float:
    """RMS in dBFS between two times in seconds."""
    part = samples[:, round(start * RATE) : round(end * RATE)].astype(np.float64)
    return float(10 * np.log10(np.mean(part**2) + 1e-12))


def auto_music(bench: Bench) -> None:
    assert bench.score(audio__auto_music=True)[0].tracks
    assert not bench.score(audio__auto_music=False)[0].tracks


def music_source(bench: Bench) -> None:
    assert bench.score(audio__music_source="auto")[0].tracks[0].engine == "tone"
    assert bench.score(audio__music_source="composer")[0].tracks[0].engine == "composer"


def local_music_dir(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    wave = 0.1 * np.sin(np.arange(20 * RATE) * 0.02).astype(np.float32)
    encode(Audio(np.stack([wave, wave]), RATE), bench.folder / "mine" / "song.wav", format_of(Path("song.wav")))
    found = {"engines__generators": ["local-files", "tone"]}
    assert bench.generate(audio__local_music_dir=str(bench.folder / "none"), **found).engine == "tone"
    assert bench.generate(audio__local_music_dir=str(bench.folder / "mine"), **found).engine == "local-files"


def ducking_threshold(bench: Bench) -> None:
    assert bench.score(audio__ducking_threshold=0.02)[0].report["dips"]
    assert not bench.score(audio__ducking_threshold=0.5)[0].report["dips"]


def ducking_ratio(bench: Bench) -> None:
    depths = [bench.score(audio__ducking_ratio=ratio)[0].report["depth_db"] for ratio in (1, 3, 6)]
    assert depths == pytest.approx([0, 9.54, 15.56], abs=0.01)


def music_volume_db(bench: Bench) -> None:
    loud, soft = (level(bench.score(audio__music_volume_db=volume)[1], 9, 11) for volume in (0, -12))
    # Only the music sounds there, and the limiter has nothing to do at these levels.
    assert loud - soft == pytest.approx(12, abs=0.5)


def fade_in_seconds(bench: Bench) -> None:
    slow, fast = (level(bench.score(audio__fade_in_seconds=seconds)[1], 0.6, 1.0) for seconds in (4, 0))
    assert slow < fast - 6


def fade_out_seconds(bench: Bench) -> None:
    slow, fast = (level(bench.score(audio__fade_out_seconds=seconds)[1], 10.6, 11.0) for seconds in (6, 0))
    assert slow < fast - 6


def directory(bench: Bench) -> None:
    track = bench.generate(library__directory=str(bench.folder / "elsewhere"))
    assert track.audio.is_relative_to(bench.folder / "elsewhere")


def database_url(bench: Bench) -> None:
    bench.generate(library__database_url=f"sqlite:///{bench.folder / 'other.db'}")
    assert (bench.folder / "other.db").exists()


def loudness_lufs(bench: Bench) -> None:
    assert bench.generate(library__loudness_lufs=-20, engines__generators=["composer"]).lufs == pytest.approx(
        -20, abs=0.3
    )


def generators(bench: Bench) -> None:
    assert bench.generate(engines__generators=["tone"]).engine == "tone"
    assert bench.generate(engines__generators=["composer"]).engine == "composer"


def separators(bench: Bench) -> None:
    for name in ("tone", "classical"):
        with bench.studio(engines__separators=[name]) as studio:
            request = studio.request(Separate, {"source": {"path": bench.clip}})
            assert studio.run(request, into=bench.folder / name).report["engine"] == name


def mood_readers(bench: Bench) -> None:
    for name in ("tone", "keyframes"):
        with bench.studio(engines__mood_readers=[name]) as studio:
            assert studio.run(studio.request(ReadMood, {"source": {"path": bench.clip}})).report["engine"] == name


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "audio.auto_music": auto_music,
    "audio.music_source": music_source,
    "audio.local_music_dir": local_music_dir,
    "audio.ducking_threshold": ducking_threshold,
    "audio.ducking_ratio": ducking_ratio,
    "audio.music_volume_db": music_volume_db,
    "audio.fade_in_seconds": fade_in_seconds,
    "audio.fade_out_seconds": fade_out_seconds,
    "library.directory": directory,
    "library.database_url": database_url,
    "library.loudness_lufs": loudness_lufs,
    "engines.generators": generators,
    "engines.separators": separators,
    "engines.mood_readers": mood_readers,
}


def test_every_setting_has_its_test() -> None:
    assert set(EFFECTS) == {row.key for row in rows()}


@pytest.mark.parametrize("key", EFFECTS)
def test_the_setting_acts(key: str, tmp_path: Path) -> None:
    EFFECTS[key](Bench(tmp_path))
