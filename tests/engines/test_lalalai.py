"""lalal.ai: right stems, and never a minute paid twice, whatever the network does."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.servers.lalalai import KEY, LalalaiServer, lalalai_server

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Stem
from sottovoce.engines.base import Run, Separation
from sottovoce.engines.lalalai import Lalalai, LalalaiConfig
from sottovoce.engines.lalalai_stems import LalalaiOptions
from sottovoce.progress import Progress

RATE = 48_000
FRAMES = 3 * RATE + 17


class Clock:
    """Time that only passes when someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Memo(dict[str, Any]):
    """A memo whose saved state survives the process."""

    saved: dict[str, Any]

    def save(self) -> None:
        self.saved = dict(self)

    def after_restart(self) -> Memo:
        return Memo(self.saved)


@dataclass
class Bench:
    """The engine beside the service, with a clock of their own."""

    service: LalalaiServer
    clock: Clock
    memo: Memo = field(default_factory=Memo)
    seen: list[Progress] = field(default_factory=list)
    stop_at: str = ""

    def engine(self, most: float = 30.0) -> Lalalai:
        config = LalalaiConfig(max_minutes_per_job=most, key_known=True)
        return Lalalai(config, base_url=self.service.url, clock=self.clock, sleep=self.clock.sleep)

    def run(self, key: str = KEY) -> Run:
        return Run(self._note, credentials={"lalalai": key}, memo=self.memo)

    def separate(
        self, *, most: float = 30.0, frames: int = FRAMES, channels: int = 2, **options: Any
    ) -> tuple[Separation, dict[Stem, Audio]]:
        sink = ArrayWriter(RATE)
        done = self.engine(most).separate(
            ArrayReader(song(frames, channels)), sink, LalalaiOptions(**options), self.run()
        )
        return done, sink.stems()

    def _note(self, progress: Progress) -> None:
        self.seen.append(progress)
        if self.stop_at and progress.stage == self.stop_at:
            raise errors.Cancelled("stop")


def song(frames: int = FRAMES, channels: int = 2) -> Audio:
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)
    return Audio(noise, RATE)


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = Clock()
    with lalalai_server(clock) as service:
        yield Bench(service, clock)


def test_stems_come_back_at_the_exact_rate_and_length(bench: Bench) -> None:
    done, stems = bench.separate(only=("vocals", "drums"))
    assert done.stems == ("vocals", "drums")
    for stem in stems.values():
        assert stem.samples.shape == (2, FRAMES)
        np.testing.assert_allclose(stem.samples, 0.25 * song().samples, atol=2e-6)
    assert any("charges 0.2 minutes" in note for note in done.notes)
    assert {presets["stem"] for task in bench.service.tasks.values() if (presets := task.presets)} == {"vocals", "drum"}
    assert all(task.presets["encoder_format"] == "wav" for task in bench.service.tasks.values())


def test_the_percent_only_grows(bench: Bench) -> None:
    bench.separate(only=("vocals", "bass"))
    percents = [progress.percent for progress in bench.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert bench.seen[0].percent == 0
    assert "0.2 minutes of lalal.ai" in {progress.stage for progress in bench.seen}


def test_without_wishes_only_vocals_are_paid_for(bench: Bench) -> None:
    assert bench.separate()[0].stems == ("vocals",)
    assert [stem for stem, _ in bench.service.charged] == ["vocals"]


def test_every_stem_has_its_name_there(bench: Bench) -> None:
    stems = tuple(stem for stem in bench.engine().stems_of(None) if not stem.endswith("_vocals"))
    done, made = bench.separate(only=stems, frames=RATE)
    assert set(done.stems) == set(made) == set(stems)
    splitters = {task.presets["stem"]: task.presets["splitter"] for task in bench.service.tasks.values()}
    assert {splitters[name] for name in ("synthesizer", "strings", "wind")} == {"phoenix"}
    assert splitters["drum"] == "auto"


def test_lead_and_backing_vocals_are_one_task_and_a_missing_one_is_silent(bench: Bench) -> None:
    done, stems = bench.separate(only=("lead_vocals", "backing_vocals"))
    assert len(bench.service.charged) == 1
    assert np.abs(stems[Stem("lead_vocals")].samples).max() > 0.1
    assert stems[Stem("backing_vocals")].samples.shape == (2, FRAMES)
    assert not stems[Stem("backing_vocals")].samples.any()
    assert any("no backing_vocals" in note for note in done.notes)


def test_all_tasks_are_asked_after_in_one_call_within_the_rate_limit(bench: Bench) -> None:
    bench.service.script = [{"status": "progress", "progress": step} for step in range(60)] + [{"status": "success"}]
    started = bench.clock.now
    bench.separate(only=("vocals", "drums", "bass"))
    assert bench.service.count("check") == 61
    assert bench.clock.now - started >= 60 * 5


def test_the_upload_has_a_name_of_ours_and_is_deleted(bench: Bench) -> None:
    bench.separate()
    assert re.fullmatch(r"[0-9a-f-]{36}\.flac", bench.service.names[0])
    assert bench.service.deleted == list(bench.service.uploads)


def test_an_upload_that_cannot_be_deleted_is_said(bench: Bench) -> None:
    bench.service.faults["delete"].append("500")
    assert any("could not be deleted" in note for note in bench.separate()[0].notes)


def test_the_key_goes_to_the_service_alone_and_into_no_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.service.faults["check"].extend(["500", "html"])
    done, _ = bench.separate()
    calls = [(path, headers) for path, headers in bench.service.asked if path.startswith("/api/")]
    results = [headers for path, headers in bench.service.asked if path.startswith("/media/")]
    assert all(headers["x-license-key"] == KEY for _, headers in calls)
    assert results
    assert not any(KEY in str(headers) for headers in results)
    assert KEY not in caplog.text
    assert KEY not in repr(Run(credentials={"lalalai": KEY}))
    assert KEY not in str(done)
    assert KEY not in str(bench.memo)


@pytest.mark.long
@pytest.mark.parametrize(
    "place", ["https://evil.example", "http://127.0.0.1:1", "file:///etc", "http://user@127.0.0.1"]
)
def test_results_elsewhere_are_not_fetched(bench: Bench, place: str) -> None:
    bench.service.results_at = place
    with pytest.raises(errors.RemoteFailed, match="elsewhere"):
        bench.separate()
    assert not bench.service.count("vocals")


@pytest.mark.long
@pytest.mark.parametrize("fault", ["500", "429", "lose", "html", "internal_error"])
@pytest.mark.parametrize("word", ["upload", "stem_separator", "check", "minutes_left"])
def test_a_call_that_fails_in_passing_costs_nothing(bench: Bench, word: str, fault: Any) -> None:
    bench.service.faults[word].extend([fault, fault])
    _, stems = bench.separate(only=("vocals", "bass"))
    assert len(stems) == 2
    assert len(bench.service.charged) == 2


@pytest.mark.parametrize("fault", ["cut", "500"])
def test_a_result_that_breaks_off_is_fetched_again(bench: Bench, fault: Any) -> None:
    bench.service.faults["media"].extend([fault, fault])
    assert bench.separate()[1][Stem("vocals")].samples.shape == (2, FRAMES)
    assert len(bench.service.charged) == 1


def test_an_order_whose_answer_is_lost_before_it_starts_is_not_doubled(bench: Bench) -> None:
    bench.service.starts_at_once = False
    bench.service.faults["stem_separator"].append("drop")
    assert bench.separate()[1]
    assert len(bench.service.tasks) == len(bench.service.charged) == 1


def test_an_order_whose_answer_is_lost_after_it_started_is_never_placed_again(bench: Bench) -> None:
    bench.service.faults["stem_separator"].append("drop")
    with pytest.raises(errors.RemoteFailed, match="not paid for, a second time"):
        bench.separate()
    bench.memo = bench.memo.after_restart()
    with pytest.raises(errors.RemoteFailed, match="not paid for, a second time"):
        bench.separate()
    assert len(bench.service.charged) == 1


def test_the_key_of_an_order_is_kept_before_it_is_sent(bench: Bench) -> None:
    bench.service.faults["stem_separator"].extend(["lose"] * 20)
    with pytest.raises(errors.RemoteFailed, match="could not be asked"):
        bench.separate()
    bench.service.faults["stem_separator"].clear()
    kept = bench.memo.saved["lalalai"]["keys"]["vocals"]
    bench.memo = bench.memo.after_restart()
    assert bench.separate()[1]
    assert list(bench.service.keys) == [kept]
    assert bench.service.count("upload") == 1


def test_a_job_taken_up_after_a_crash_asks_for_what_it_paid(bench: Bench) -> None:
    bench.service.faults["check"].extend(["500"] * 200)
    with pytest.raises(errors.RemoteFailed, match="could not say how") as given_up:
        bench.separate(only=("vocals", "drums"))
    assert "takes the tasks up" in given_up.value.hint
    bench.service.faults["check"].clear()
    bench.memo = bench.memo.after_restart()
    assert len(bench.separate(only=("vocals", "drums"))[1]) == 2
    assert bench.service.count("upload") == 1
    assert len(bench.service.charged) == 2


def test_a_task_that_failed_is_the_only_one_ordered_again(bench: Bench) -> None:
    bench.service.script = [{"status": "error", "error": {"detail": "cannot decode", "code": "bad"}}]
    with pytest.raises(errors.RemoteFailed, match="could not make vocals: cannot decode"):
        bench.separate(only=("vocals",))
    bench.service.script = None
    assert bench.separate(only=("vocals",))[1]
    assert len(bench.service.tasks) == 2
    assert bench.service.count("upload") == 1


@pytest.mark.parametrize(
    ("says", "match"),
    [
        ([{"status": "server_error", "error": "oops"}], "oops"),
        ([{"status": "cancelled"}], "cancelled"),
        ([{"status": "error", "error": {"code": "max_duration"}}], "max_duration"),
    ],
)
def test_errors_inside_a_200(bench: Bench, says: list[dict[str, Any]], match: str) -> None:
    bench.service.script = says
    with pytest.raises(errors.RemoteFailed, match=match):
        bench.separate()


def test_a_server_error_that_passes_is_put_up_with(bench: Bench) -> None:
    bench.service.script = [{"status": "server_error", "error": "oops"}] * 3 + [{"status": "success"}]
    assert bench.separate()[1]


def test_tasks_it_no_longer_knows_are_given_up(bench: Bench) -> None:
    gone = {"source": "x", "expires": 9e12, "keys": {"vocals": "k"}, "ids": {"vocals": "gone"}}
    bench.memo = Memo({"lalalai": gone})
    with pytest.raises(errors.RemoteFailed, match="does not know"):
        bench.separate()


def test_a_cancel_stops_the_own_tasks_there_and_deletes_the_song(bench: Bench) -> None:
    bench.service.script = [{"status": "progress", "progress": 1}]
    bench.stop_at = "separate"
    with pytest.raises(errors.Cancelled):
        bench.separate(only=("vocals", "bass"))
    assert all(task.cancelled for task in bench.service.tasks.values())
    assert bench.service.deleted == list(bench.service.uploads)
    assert not bench.service.count("cancel/all")
    assert not bench.memo.saved["lalalai"]["ids"]


def test_the_quote_is_length_times_stems_and_limited(bench: Bench) -> None:
    minute = ArrayReader(Audio(np.zeros((1, 60 * RATE), np.float32), RATE))
    options = LalalaiOptions(only=(Stem("vocals"), Stem("drums"), Stem("bass")))
    quote = bench.engine().quote(minute, options)
    assert (quote.minutes, quote.stems) == (3.0, 3)
    with pytest.raises(errors.InvalidParameter, match=r"cost 3\.0 minutes.*allows 2"):
        bench.engine(most=2).separate(minute, ArrayWriter(RATE), options, bench.run())
    assert not bench.service.asked


def test_too_few_minutes_are_noticed_before_the_upload(bench: Bench) -> None:
    bench.service.minutes = 0.05
    with pytest.raises(errors.QuotaExceeded, match=r"0\.05 are left"):
        bench.separate()
    assert not bench.service.uploads
    assert bench.engine().minutes_left(bench.run()) == 0.05


def test_a_wrong_key_is_said_in_their_words(bench: Bench) -> None:
    with pytest.raises(errors.RemoteFailed, match="Invalid or missing") as refused:
        bench.engine().minutes_left(bench.run("wrong"))
    assert "LALALAI_API_KEY" in refused.value.hint
    assert refused.value.details["request_id"] == "req-7"


def test_without_a_key_nothing_is_asked(bench: Bench) -> None:
    missing = Lalalai(LalalaiConfig(), base_url=bench.service.url).unavailable()
    assert missing is not None
    assert "LALALAI_API_KEY" in missing.cure
    with pytest.raises(errors.BackendNotInstalled):
        bench.engine().minutes_left(Run())
    assert not bench.service.asked


def test_tasks_are_cancelled_by_id(bench: Bench) -> None:
    bench.separate()
    task = next(iter(bench.service.tasks))
    assert bench.engine().cancel([task, "unknown"], bench.run()) == {task: True, "unknown": False}


def test_what_it_cannot_do_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="has no pads"):
        LalalaiOptions(only=(Stem("pads"),))
    with pytest.raises(errors.InvalidParameter, match="phoenix"):
        bench.separate(only=("strings",), model="orion")
    with pytest.raises(errors.InvalidParameter, match="no model"):
        bench.engine().stems_of("htdemucs")
    with pytest.raises(errors.InvalidParameter, match="6 channels"):
        bench.separate(channels=6)
    assert Stem("strings") not in bench.engine().stems_of("orion")
    assert not bench.service.charged


def test_mono_stays_mono(bench: Bench) -> None:
    assert bench.separate(channels=1)[1][Stem("vocals")].samples.shape == (1, FRAMES)


def test_it_is_never_taken_unasked(bench: Bench) -> None:
    assert bench.engine().capabilities.paid
