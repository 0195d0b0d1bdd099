"""Every documented setting changes what it is about; a key without a test here fails."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tests import neural_settings, serving_settings
from tests.servers.hub import HubServer, hub_server
from tests.servers.lalalai import KEY as LALALAI_KEY
from tests.servers.lalalai import LalalaiServer, lalalai_server
from tests.servers.musicgen import musicgen_server

from sottovoce import errors
from sottovoce.audio import Audio, Stem
from sottovoce.engines.base import Separator
from sottovoce.engines.catalog import SEPARATORS
from sottovoce.engines.lalalai import Lalalai
from sottovoce.engines.musicgen_separate import MusicgenSeparate
from sottovoce.library.track import Track
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode, format_of
from sottovoce.settings import load_settings, rows
from sottovoce.studio import Done, Studio
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.mood import ReadMood
from sottovoce.tasks.score import Score
from sottovoce.tasks.separate import Separate
from sottovoce.weights.download import Hub
from sottovoce.weights.manifest import Model, ModelFile
from sottovoce.weights.store import Store

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


@contextmanager
def tiny_model(bench: Bench, **settings: Any) -> Iterator[tuple[Store, HubServer]]:
    """The studio's store with a model of one file, at a hub of the test's own."""
    content = b"weights" * 1000
    file = ModelFile(name="one.safetensors", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    facts = {"licence": "MIT", "quality": "none", "memory_mb": 1, "advice": "for tests"}
    model = Model(name="tiny", repository="someone/Tiny", revision="a" * 40, files=(file,), **facts)  # type: ignore[arg-type]
    with hub_server() as hub, bench.studio(**settings) as studio:
        hub.publish("someone/Tiny", "a" * 40, one=content)
        yield replace(studio.weights, hub=Hub(hub.url), caches=(), manifest={"tiny": model}), hub


def models_directory(bench: Bench) -> None:
    with tiny_model(bench, models__directory=str(bench.folder / "weights")) as (store, _):
        assert store.pull("tiny")[0].is_relative_to(bench.folder / "weights")


def pull(bench: Bench) -> None:
    for policy in ("never", "ask"):
        with tiny_model(bench, models__directory=str(bench.folder), models__pull=policy) as (store, hub):
            with pytest.raises(errors.ModelNotFound):
                store.located("tiny")
            assert not hub.asked
    with tiny_model(bench, models__directory=str(bench.folder), models__pull="auto") as (store, _):
        assert store.located("tiny")


def offline(bench: Bench) -> None:
    with tiny_model(bench, models__directory=str(bench.folder), models__offline=True) as (store, hub):
        with pytest.raises(errors.ModelDownloadFailed):
            store.pull("tiny")
        assert not hub.asked


def by_lalalai(bench: Bench, service: LalalaiServer, **settings: Any) -> Done:
    with bench.studio(**settings) as studio:
        config = Lalalai.Config.model_validate(studio.engines.configs["lalalai"])
        engine = Lalalai(config, base_url=service.url, sleep=lambda seconds: None)
        studio.engines.preload(SEPARATORS, "lalalai", cast("Separator", engine))
        request = studio.request(Separate, {"source": {"path": bench.clip}, "engine": "lalalai", "cache": False})
        return studio.run(request, into=bench.folder / "stems")


def lalalai_key(bench: Bench) -> None:
    with lalalai_server() as service:
        assert list(by_lalalai(bench, service, lalalai__api_key=LALALAI_KEY).stems) == ["vocals"]
        with pytest.raises(errors.BackendNotInstalled):
            by_lalalai(bench, service)


def lalalai_key_file(bench: Bench) -> None:
    (bench.folder / "key").write_text(f"{LALALAI_KEY}\n")
    with lalalai_server() as service:
        assert by_lalalai(bench, service, lalalai__api_key_file=str(bench.folder / "key")).stems


def max_minutes_per_job(bench: Bench) -> None:
    with lalalai_server() as service:
        long = {"lalalai__api_key": LALALAI_KEY, "lalalai__max_minutes_per_job": 1}
        assert by_lalalai(bench, service, **long).stems
        encode(Audio(np.zeros((1, 61 * RATE), np.float32), RATE), bench.clip, format_of(bench.clip))
        with pytest.raises(errors.InvalidParameter, match="max_minutes_per_job"):
            by_lalalai(bench, service, **long)


def by_musicgen(bench: Bench, **settings: Any) -> Done:
    with bench.studio(**settings) as studio:
        config = MusicgenSeparate.Config.model_validate(studio.engines.configs["musicgen"])
        ticks = itertools.count()
        engine = MusicgenSeparate(config, clock=lambda: float(next(ticks)), sleep=lambda seconds: None)
        studio.engines.preload(SEPARATORS, "musicgen-separate", cast("Separator", engine))
        request = studio.request(
            Separate, {"source": {"path": bench.clip}, "engine": "musicgen-separate", "cache": False}
        )
        return studio.run(request, into=bench.folder / "stems")


def enabled(bench: Bench) -> None:
    with musicgen_server() as server, pytest.raises(errors.BackendNotInstalled, match="switched off"):
        by_musicgen(bench, musicgen__base_url=server.url, musicgen__enabled=False)


def base_url(bench: Bench) -> None:
    with pytest.raises(errors.BackendNotInstalled, match="configured"):
        by_musicgen(bench)
    with musicgen_server() as server:
        assert len(by_musicgen(bench, musicgen__base_url=server.url).stems) == 4


def timeout_seconds(bench: Bench) -> None:
    with musicgen_server() as server:
        server.script = [{"status": "processing", "progress": 1}]
        with pytest.raises(errors.TimedOut, match="5 s"):
            by_musicgen(bench, musicgen__base_url=server.url, musicgen__timeout_seconds=5)


def musicgen_key(bench: Bench) -> None:
    with musicgen_server() as server:
        server.key = "s3cret"
        assert by_musicgen(bench, musicgen__base_url=server.url, musicgen__api_key="s3cret").stems
        with pytest.raises(errors.RemoteFailed, match="Missing"):
            by_musicgen(bench, musicgen__base_url=server.url)


def musicgen_key_file(bench: Bench) -> None:
    (bench.folder / "key").write_text("s3cret")
    with musicgen_server() as server:
        server.key = "s3cret"
        file = str(bench.folder / "key")
        assert by_musicgen(bench, musicgen__base_url=server.url, musicgen__api_key_file=file).stems


def stems_of(bench: Bench, **settings: Any) -> tuple[dict[str, Any], np.ndarray]:
    """The report of a separation by Demucs with small random networks, and its vocals."""
    pytest.importorskip("demucs", reason="the extra demucs is not installed")
    from tests.engines import tiny_demucs as tiny

    folder = bench.folder / "weights"
    if not folder.exists():
        folder.mkdir()
        tiny.save(tiny.htdemucs(), folder / "955717e8.safetensors")
        tiny.save(tiny.hdemucs(), folder / "75fc33f5.safetensors")
    with bench.studio(**settings) as studio:
        vars(studio)["weights"] = tiny.Folder(folder)
        fields = {
            "source": {"path": bench.clip},
            "engine": "demucs",
            "preview": 2,
            "cache": False,
            "options": {"runtime": "torch"},
        }
        done = studio.run(studio.request(Separate, fields), into=bench.folder / "stems")
        return dict(done.report), decode(done.stems[Stem("vocals")]).samples


def demucs_model(bench: Bench) -> None:
    for model in ("htdemucs", "hdemucs_mmi"):
        assert stems_of(bench, demucs__model=model)[0]["model"] == model


def demucs_device(bench: Bench) -> None:
    assert stems_of(bench, demucs__device="cpu")[0]["options"]["device"] == "cpu"
    with pytest.raises(errors.InvalidParameter, match="no device 'cuda:99'"):
        stems_of(bench, demucs__device="cuda:99")


def demucs_precision(bench: Bench) -> None:
    (exact, one), (fast, other) = (stems_of(bench, demucs__precision=name) for name in ("exact", "fast"))
    assert (exact["options"]["precision"], fast["options"]["precision"]) == ("exact", "fast")
    assert not np.array_equal(one, other)


def demucs_overlap(bench: Bench) -> None:
    one, other = (stems_of(bench, demucs__overlap=overlap)[1] for overlap in (0, 0.5))
    assert not np.array_equal(one, other)


def demucs_shifts(bench: Bench) -> None:
    one, other = (stems_of(bench, demucs__shifts=shifts)[1] for shifts in (0, 1))
    assert not np.array_equal(one, other)


def demucs_segment(bench: Bench) -> None:
    one, other = (stems_of(bench, demucs__model="hdemucs_mmi", demucs__segment=segment)[1] for segment in (1, None))
    assert not np.array_equal(one, other)


def demucs_threads(bench: Bench) -> None:
    for threads in (1, 2):
        assert stems_of(bench, demucs__threads=threads)[0]["options"]["threads"] == threads


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "audio.auto_music": auto_music,
    "audio.music_source": music_source,
    "audio.local_music_dir": local_music_dir,
    "audio.ducking_threshold": ducking_threshold,
    "audio.ducking_ratio": ducking_ratio,
    "audio.music_volume_db": music_volume_db,
    "audio.fade_in_seconds": fade_in_seconds,
    "audio.fade_out_seconds": fade_out_seconds,
    "demucs.model": demucs_model,
    "demucs.device": demucs_device,
    "demucs.precision": demucs_precision,
    "demucs.overlap": demucs_overlap,
    "demucs.shifts": demucs_shifts,
    "demucs.segment": demucs_segment,
    "demucs.threads": demucs_threads,
    "library.directory": directory,
    "library.database_url": database_url,
    "library.loudness_lufs": loudness_lufs,
    "engines.generators": generators,
    "engines.separators": separators,
    "engines.mood_readers": mood_readers,
    "models.directory": models_directory,
    "models.pull": pull,
    "models.offline": offline,
    "lalalai.api_key": lalalai_key,
    "lalalai.api_key_file": lalalai_key_file,
    "lalalai.max_minutes_per_job": max_minutes_per_job,
    "musicgen.enabled": enabled,
    "musicgen.base_url": base_url,
    "musicgen.timeout_seconds": timeout_seconds,
    "musicgen.api_key": musicgen_key,
    "musicgen.api_key_file": musicgen_key_file,
    **neural_settings.EFFECTS,
    **serving_settings.EFFECTS,
}


def test_every_setting_has_its_test() -> None:
    assert set(EFFECTS) == {row.key for row in rows()}


def _timed(key: str) -> Any:
    """Sound has to be made, or a server started, to see what these do."""
    return (
        pytest.param(key, marks=pytest.mark.long) if key.startswith(("audio.", "demucs.", "jobs.", "server.")) else key
    )


@pytest.mark.parametrize("key", [_timed(key) for key in EFFECTS])
def test_the_setting_acts(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "LALALAI_API_KEY",
        "SYSTEM_LALALAI_ACTIVATION_KEY",
        "MUSICGEN_API_KEY",
        "ACESTEP_API_KEY",
        "LLM_API_KEY",
    ):
        monkeypatch.delenv(variable, raising=False)
    EFFECTS[key](Bench(tmp_path))
