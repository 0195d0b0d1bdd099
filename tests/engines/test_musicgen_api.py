"""Music by a MusicGen server: exact in length, ordered within its ranges, and taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.servers.ace_step import ace_step_server
from tests.servers.musicgen import MusicgenServer, musicgen_server

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, ArrayReader, Audio
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.engines.base import ForgetfulMemo, Generated, Run
from sottovoce.engines.musicgen_api import MusicgenApi, MusicgenApiOptions, Scene
from sottovoce.engines.musicgen_wire import MusicgenConfig
from sottovoce.progress import Progress
from sottovoce.prompt import Edit, Prompt


@dataclass
class Bench:
    """The engine beside a server; sleeping only moves the clock."""

    server: MusicgenServer
    now: float = 0.0
    memo: ForgetfulMemo = field(default_factory=ForgetfulMemo)
    seen: list[Progress] = field(default_factory=list)
    key: str | None = None
    cancel_at: str | None = None

    def engine(self, **config: Any) -> MusicgenApi:
        settings = MusicgenConfig(**{"base_url": self.server.url, **config})
        return MusicgenApi(settings, clock=lambda: self.now, sleep=self._sleep)

    def generate(self, seconds: float = 10.0, *, config: dict[str, Any] | None = None, **asked: Any) -> Generated:
        options = MusicgenApiOptions(**asked.pop("options", {}))
        run = Run(self._report, credentials={"musicgen": self.key} if self.key else {}, memo=self.memo)
        wish = Prompt(**{"words": "calm piano", "seconds": seconds, "seed": 1, **asked})
        return self.engine(**(config or {})).generate(wish, options, run)

    def _report(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.stage == self.cancel_at:
            raise errors.Cancelled("stopped")

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def bench() -> Iterator[Bench]:
    with musicgen_server() as server:
        yield Bench(server)


def test_a_piece_of_exactly_the_asked_length_and_loudness(bench: Bench) -> None:
    made = bench.generate(10.5, mood="calm")
    assert made.audio.rate == DELIVERY_RATE
    assert made.audio.samples.shape == (2, round(10.5 * DELIVERY_RATE))
    assert made.audio.samples.dtype == np.float32
    assert abs(integrated(made.audio.samples, DELIVERY_RATE) + 16) < 1
    assert true_peak_db(made.audio.samples, DELIVERY_RATE) < -0.9
    assert abs(made.audio.samples[:, -1]).max() < 0.01
    route, order = bench.server.orders[0]
    assert (route, order["duration"], order["mood"]) == ("/generate", 11, "calm")
    assert order["prompt"].startswith("calm piano")
    assert any("no seed" in note for note in made.notes)
    percents = [progress.percent for progress in bench.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100


@pytest.mark.parametrize(("seconds", "length"), [(5, 10), (30, 30), (31, 39), (60, 61), (61.2, 62), (118, 118)])
def test_lengths_that_the_server_can_make(bench: Bench, seconds: float, length: int) -> None:
    bench.cancel_at = "download"
    with pytest.raises(errors.Cancelled):
        bench.generate(seconds)
    assert bench.server.orders[0][1]["duration"] == length


@pytest.mark.parametrize("seconds", [120, 121, 239.5, 1190.5, 1200])
def test_longer_music_is_a_soundtrack_of_equal_scenes(bench: Bench, seconds: float) -> None:
    bench.cancel_at = "generate"
    with pytest.raises(errors.Cancelled):
        bench.generate(seconds)
    route, order = bench.server.orders[0]
    lengths = [scene["duration"] for scene in order["scenes"]]
    assert route == "/generate/soundtrack"
    assert sum(lengths) == -(-seconds // 1)
    assert max(lengths) - min(lengths) <= 1


def test_scenes_keep_their_moods_and_borders(bench: Bench) -> None:
    scenes = [Scene(seconds=12.4, mood="calm"), Scene(seconds=9.4, mood="tense"), Scene(seconds=10.2, prompt="drums")]
    made = bench.generate(32.0, options={"scenes": scenes, "crossfade": 1.0})
    order = bench.server.orders[0][1]
    assert [scene["duration"] for scene in order["scenes"]] == [12, 10, 10]
    assert [scene["mood"] for scene in order["scenes"]] == ["calm", "tense", None]
    assert order["crossfade_duration"] == 1.0
    assert made.audio.frames == 32 * DELIVERY_RATE


def test_scenes_that_do_not_add_up(bench: Bench) -> None:
    with pytest.raises(errors.InvalidParameter, match=r"60 s together.*70 s"):
        bench.generate(70, options={"scenes": [Scene(seconds=60)]})
    with pytest.raises(errors.InvalidDuration, match="30 to 1200"):
        bench.generate(20, options={"scenes": [Scene(seconds=20)]})
    assert not bench.server.asked


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"seconds": 4.0}, errors.InvalidDuration),
        ({"seconds": 1200.5}, errors.InvalidDuration),
        ({"words": "x" * 501}, errors.InvalidPrompt),
        ({"edit": Edit("cover", ArrayReader(Audio(np.zeros((2, 9), np.float32), 48_000)))}, errors.InvalidParameter),
    ],
)
def test_what_it_cannot_do_is_refused_unasked(bench: Bench, wish: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        bench.generate(**wish)
    assert not bench.server.asked


def test_music_that_is_too_short_is_looped_and_said(bench: Bench) -> None:
    bench.server.off = -1.5
    made = bench.generate(12)
    assert made.audio.frames == 12 * DELIVERY_RATE
    assert any("1.50 s less" in note for note in made.notes)
    bench.server.off = -8
    with pytest.raises(errors.RemoteFailed, match=r"4\.0 s where 12 s"):
        bench.generate(12, seed=2)


def test_versions_are_jobs_of_their_own_and_each_is_taken_up_again(bench: Bench) -> None:
    bench.generate(seed=1)
    bench.generate(seed=2)
    assert len(bench.server.orders) == 2
    bench.generate(seed=1)
    assert len(bench.server.orders) == 2


def test_a_job_the_server_has_forgotten_is_ordered_anew(bench: Bench) -> None:
    bench.generate()
    bench.server.jobs.clear()
    bench.generate()
    assert len(bench.server.orders) == 2


def test_a_failed_job_is_said_in_its_words(bench: Bench) -> None:
    bench.server.script = [{"status": "failed", "error": "out of memory"}]
    with pytest.raises(errors.RemoteFailed, match="out of memory"):
        bench.generate()
    bench.server.script = None
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE


def test_five_errors_in_a_row_are_too_many_and_four_are_not(bench: Bench) -> None:
    bench.server.faults.extend([500, 0, 429, 503])
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    bench.server.faults.extend([500] * 5)
    with pytest.raises(errors.RemoteFailed, match="could not be asked"):
        bench.generate(seed=2)


def test_a_job_that_takes_too_long_times_out(bench: Bench) -> None:
    bench.server.script = [{"status": "processing", "progress": 1.0}]
    with pytest.raises(errors.TimedOut, match="30 s"):
        bench.generate(config={"timeout_seconds": 30})
    assert 30 <= bench.now < 60
    assert list(bench.memo["musicgen-api"].values()) == list(bench.server.jobs)


def test_a_cancel_ends_the_asking_at_once(bench: Bench) -> None:
    bench.server.script = [{"status": "processing", "progress": 1.0}]
    bench.cancel_at = "generate"
    with pytest.raises(errors.Cancelled):
        bench.generate()
    assert sum("/jobs/" in path for path, _ in bench.server.asked) <= 1
    assert not bench.memo["musicgen-api"]


@pytest.mark.parametrize("place", ["https://evil.example/files/x.wav", "http://127.0.0.1:1/x.wav", "//evil.example/x"])
def test_results_on_another_server_are_not_fetched(bench: Bench, place: str) -> None:
    bench.server.results = [place]
    with pytest.raises(errors.RemoteFailed, match="another server"):
        bench.generate()


def test_a_result_that_is_missing(bench: Bench) -> None:
    bench.server.results = []
    with pytest.raises(errors.RemoteFailed, match="names no result"):
        bench.generate()


def test_the_key_is_sent_and_its_absence_said(bench: Bench) -> None:
    bench.server.key = "s3cret"
    with pytest.raises(errors.RemoteFailed, match="Missing X-API-Key") as missing:
        bench.generate()
    assert "MUSICGEN_API_KEY" in missing.value.hint
    bench.key = "s3cret"
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    assert bench.engine().unavailable() is None


def test_nothing_is_asked_until_it_is_set(bench: Bench) -> None:
    for config in ({}, {"enabled": False, "base_url": bench.server.url}, {"mode": "lib", "base_url": bench.server.url}):
        missing = MusicgenApi(MusicgenConfig(**config)).unavailable()
        assert missing is not None
        assert missing.cure.startswith("sotto config set musicgen.")
    assert not bench.server.asked


def test_its_health_is_asked_at_most_every_few_seconds(bench: Bench) -> None:
    engine = bench.engine()
    assert engine.unavailable() is None
    assert engine.unavailable() is None
    assert len(bench.server.asked) == 1
    bench.now = 6
    assert engine.unavailable() is None
    assert len(bench.server.asked) == 2


def test_a_server_of_another_kind_is_noticed(bench: Bench) -> None:
    with ace_step_server() as other:
        wrong = bench.engine(base_url=other.url).unavailable()
    assert wrong is not None
    assert "another kind (ACE-Step)" in wrong.reason
    nobody = bench.engine(base_url="http://127.0.0.1:1").unavailable()
    assert nobody is not None
    assert "no server answers at http://127.0.0.1:1" in nobody.reason
