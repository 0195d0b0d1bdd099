"""A MusicGen server's stems: exact in length, and from no other server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.servers.musicgen import MusicgenServer, musicgen_server

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Stem
from sottovoce.engines.base import ForgetfulMemo, Run, Separation
from sottovoce.engines.musicgen_separate import MusicgenSeparate, MusicgenSeparateOptions
from sottovoce.engines.musicgen_wire import MusicgenConfig
from sottovoce.progress import Progress

RATE = 48_000
FRAMES = 2 * RATE + 31


@dataclass
class Bench:
    """The engine beside a server; sleeping only moves the clock."""

    server: MusicgenServer
    now: float = 0.0
    memo: ForgetfulMemo = field(default_factory=ForgetfulMemo)
    seen: list[Progress] = field(default_factory=list)
    key: str | None = None

    def separate(self, only: tuple[str, ...] = (), **config: Any) -> tuple[Separation, dict[Stem, Audio]]:
        settings = MusicgenConfig(**{"base_url": self.server.url, **config})
        engine = MusicgenSeparate(settings, clock=lambda: self.now, sleep=self._sleep)
        sink, options = ArrayWriter(RATE), MusicgenSeparateOptions(only=tuple(map(Stem, only)))
        run = Run(self.seen.append, credentials={"musicgen": self.key} if self.key else {}, memo=self.memo)
        return engine.separate(ArrayReader(song()), sink, options, run), sink.stems()

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def song() -> Audio:
    """A tone below what resampling touches."""
    wave = 0.4 * np.sin(2 * np.pi * 440 / RATE * np.arange(FRAMES))
    return Audio(np.stack([wave, 0.5 * wave]).astype(np.float32), RATE)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with musicgen_server() as server:
        yield Bench(server)


def test_four_stems_at_the_songs_rate_and_length(bench: Bench) -> None:
    done, stems = bench.separate()
    assert set(stems) == {"drums", "bass", "other", "vocals"} == set(done.stems)
    for stem in stems.values():
        assert stem.samples.shape == (2, FRAMES)
        inner = slice(2000, -2000)
        np.testing.assert_allclose(stem.samples[:, inner], 0.25 * song().samples[:, inner], atol=1e-4)
    assert not done.notes
    percents = [progress.percent for progress in bench.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_the_upload_has_a_name_of_ours_and_only_wanted_stems_are_fetched(bench: Bench) -> None:
    assert set(bench.separate(only=("vocals",))[1]) == {"vocals"}
    assert bench.server.uploads[0][0] == "song.flac"
    assert sum("/files/" in path for path, _ in bench.server.asked) == 1


def test_a_server_that_is_mounted_below_a_path(bench: Bench) -> None:
    bench.server.mount = "/music"
    assert len(bench.separate()[1]) == 4


def test_the_key_is_sent_and_its_absence_said(bench: Bench) -> None:
    bench.server.key = "s3cret"
    with pytest.raises(errors.RemoteFailed, match="Missing X-API-Key") as missing:
        bench.separate()
    assert "MUSICGEN_API_KEY" in missing.value.hint
    bench.key = "wrong"
    with pytest.raises(errors.RemoteFailed, match="Invalid API key"):
        bench.separate()
    bench.key = "s3cret"
    assert len(bench.separate()[1]) == 4


@pytest.mark.parametrize("place", ["https://evil.example", "http://127.0.0.1:1", "//evil.example", "file://"])
def test_results_on_another_server_are_not_fetched(bench: Bench, place: str) -> None:
    bench.server.results = [f"{place}/files/x_{stem}.wav" for stem in ("drums", "bass", "other", "vocals")]
    with pytest.raises(errors.RemoteFailed, match="another server"):
        bench.separate()
    assert not any("/files/" in path for path, _ in bench.server.asked)


@pytest.mark.parametrize("fault", [500, 503, 429, 0])
def test_calls_that_fail_in_passing_are_made_again(bench: Bench, fault: int) -> None:
    bench.server.faults.extend([fault, fault])
    assert len(bench.separate()[1]) == 4


def test_a_failed_job_is_said_in_its_words_and_not_taken_up_again(bench: Bench) -> None:
    bench.server.script = [{"status": "failed", "error": "out of memory"}]
    with pytest.raises(errors.RemoteFailed, match="out of memory"):
        bench.separate()
    bench.server.script = None
    assert len(bench.separate()[1]) == 4


def test_a_job_that_takes_too_long_times_out_and_can_be_taken_up(bench: Bench) -> None:
    waiting = {"status": "processing", "progress": 1.0}
    bench.server.script = [waiting]
    with pytest.raises(errors.TimedOut, match="30 s"):
        bench.separate(timeout_seconds=30)
    assert 30 <= bench.now < 60
    job = bench.memo["musicgen-separate"]["job"]
    bench.server.script = None
    bench.server.jobs[job].append(
        {
            "status": "completed",
            "result_urls": [f"/files/{job}_{stem}.wav" for stem in ("drums", "bass", "other", "vocals")],
        }
    )
    assert len(bench.separate()[1]) == 4
    assert len(bench.server.uploads) == 1


def test_stems_of_another_length_are_filled_and_said(bench: Bench) -> None:
    bench.server.off = -0.5
    done, stems = bench.separate()
    assert stems[Stem("bass")].frames == FRAMES
    assert any("bass came back -0.50 s" in note for note in done.notes)


def test_missing_stems_are_said(bench: Bench) -> None:
    bench.server.results = ["/files/x_vocals.wav"]
    with pytest.raises(errors.RemoteFailed, match="gave no drums, bass, other"):
        bench.separate()


def test_a_server_that_is_something_else(bench: Bench) -> None:
    with pytest.raises(errors.RemoteFailed, match="no such job or route"):
        bench.separate(base_url=f"{bench.server.url}/other")


@pytest.mark.parametrize("config", [{}, {"enabled": False, "base_url": "http://127.0.0.1:9"}])
def test_nothing_is_asked_unbidden(config: dict[str, Any]) -> None:
    engine = MusicgenSeparate(MusicgenConfig(**config))
    missing = engine.unavailable()
    assert missing is not None
    assert missing.cure.startswith("sotto config set musicgen.")
    with pytest.raises(errors.BackendNotInstalled):
        engine.separate(ArrayReader(song()), ArrayWriter(RATE), MusicgenSeparateOptions(), Run())


def test_it_has_no_models() -> None:
    with pytest.raises(errors.InvalidParameter, match="chooses its model"):
        MusicgenSeparate(MusicgenConfig()).stems_of("htdemucs")
