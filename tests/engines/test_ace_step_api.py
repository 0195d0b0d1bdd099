"""Music by ACE-Step servers of every revision: exact, seeded where they let it, honest where they do not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.servers.ace_step import DRAWN, TRACEBACK, AceStepServer, Revision, ace_step_server
from tests.servers.musicgen import musicgen_server
from tests.servers.tunes import tune

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, ArrayReader, Audio
from sottovoce.dsp.loudness import integrated
from sottovoce.engines.ace_step_api import AceStepApi
from sottovoce.engines.ace_step_order import AceStepApiOptions, preset_of
from sottovoce.engines.ace_step_wire import AceStepApiConfig, address
from sottovoce.engines.base import BatchGenerator, ForgetfulMemo, Generated, Run
from sottovoce.progress import Progress
from sottovoce.prompt import Edit, Key, Prompt


@dataclass
class Bench:
    """The engine beside a server; sleeping only moves the clock."""

    server: AceStepServer
    now: float = 0.0
    memo: ForgetfulMemo = field(default_factory=ForgetfulMemo)
    seen: list[Progress] = field(default_factory=list)
    key: str | None = None
    cancel_at: str | None = None

    def engine(self, **config: Any) -> AceStepApi:
        settings = AceStepApiConfig(**{"api_url": self.server.url, **config})
        return AceStepApi(settings, clock=lambda: self.now, sleep=self._sleep)

    def run(self) -> Run:
        return Run(self._report, credentials={"ace-step": self.key} if self.key else {}, memo=self.memo)

    def batch(self, *seeds: int, config: dict[str, Any] | None = None, **asked: Any) -> tuple[Generated, ...]:
        options = AceStepApiOptions(**asked.pop("options", {}))
        wish = Prompt(**{"words": "calm piano", "seconds": 10.0, "seed": seeds[0], **asked})
        return self.engine(**(config or {})).generate_batch(wish, seeds, options, self.run())

    def generate(self, seed: int = 42, **asked: Any) -> Generated:
        return self.batch(seed, **asked)[0]

    def _report(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.stage == self.cancel_at:
            raise errors.Cancelled("stopped")

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ace_step_server() as server:
        yield Bench(server)


@pytest.fixture
def feb() -> Iterator[Bench]:
    with ace_step_server("feb") as server:
        yield Bench(server)


def song(seconds: float) -> ArrayReader:
    return ArrayReader(tune(seconds, 48_000, 2, 5))


@pytest.mark.parametrize("revision", ["feb", "later"])
def test_one_take_of_exactly_the_asked_length(revision: Revision) -> None:
    with ace_step_server(revision) as server:
        bench = Bench(server)
        made = bench.generate(seconds=10.5, bpm=92.0, key=Key(9, minor=True), time_signature="4/4")
        fields = server.last.fields
    assert made.audio.samples.shape == (2, round(10.5 * DELIVERY_RATE))
    assert abs(integrated(made.audio.samples, DELIVERY_RATE) + 16) < 1
    assert (made.model, made.key) == ("acestep-v15-turbo", "A minor")
    assert not made.notes
    assert fields["prompt"].startswith("calm piano")
    exact = {
        "bpm": 92,
        "key_scale": "A minor",
        "time_signature": "4",
        "batch_size": 1,
        "seed": 42,
        "lyrics": "[Instrumental]",
    }
    assert exact.items() <= fields.items()
    preset = {
        "inference_steps": 8,
        "shift": 3.0,
        "use_random_seed": False,
        "audio_format": "wav",
        "audio_duration": 10.5,
    }
    assert preset.items() <= fields.items()
    percents = [progress.percent for progress in bench.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_versions_are_one_order_of_later_servers(bench: Bench) -> None:
    assert isinstance(bench.engine(), BatchGenerator)
    one, other = bench.batch(42, 43)
    assert len(bench.server.tasks) == 1
    assert bench.server.last.fields["seed"] == "42,43"
    assert not one.notes
    assert not np.array_equal(one.audio.samples, other.audio.samples)
    np.testing.assert_array_equal(bench.generate(43).audio.samples, other.audio.samples)


def test_versions_are_orders_of_their_own_where_a_list_of_seeds_is_not_read(feb: Bench) -> None:
    takes = feb.batch(42, 43, 44)
    assert [task.fields["seed"] for task in feb.server.tasks.values()] == [42, 43, 44]
    assert not any(take.notes for take in takes)


def test_versions_that_did_not_fit_are_made_one_by_one(bench: Bench) -> None:
    bench.server.most_at_once = 1
    takes = bench.batch(42, 43)
    assert len(takes) == 2
    assert not any(take.notes for take in takes)
    assert len(bench.server.tasks) == 2


def test_a_seed_that_was_ignored_is_said(bench: Bench) -> None:
    bench.server.ignores_seed = True
    made = bench.generate()
    assert any(f"used seed {DRAWN} instead of 42" in note for note in made.notes)
    assert made.options["seed_used"] == str(DRAWN)


def test_short_music_is_made_longer_and_ended(bench: Bench) -> None:
    made = bench.generate(seconds=6.0)
    assert bench.server.last.fields["audio_duration"] == 10
    assert made.audio.frames == 6 * DELIVERY_RATE
    assert any("at least 10 s" in note for note in made.notes)


def test_models_have_presets_of_their_own(bench: Bench) -> None:
    made = bench.generate(options={"model": "base", "guidance": 5.0})
    fields = bench.server.last.fields
    assert (fields["model"], fields["inference_steps"], fields["shift"]) == ("acestep-v15-base", 50, 1.0)
    assert fields["guidance_scale"] == 5.0
    assert made.model == "acestep-v15-base"
    assert preset_of("acestep-v15-xl-turbo").steps == 8


@pytest.mark.parametrize(("revision", "wrapped"), [("later", False), ("feb", False), ("feb", True), ("gradio", True)])
def test_every_list_of_models_is_read(revision: Revision, wrapped: bool) -> None:
    with ace_step_server(revision) as server:
        server.wrapped_models = wrapped
        bench = Bench(server)
        models = bench.engine().models(bench.run())
        assert [(model.name, model.default) for model in models] == [
            ("acestep-v15-turbo", True),
            ("acestep-v15-base", False),
        ]
        with pytest.raises(errors.InvalidParameter, match="it has acestep-v15-turbo, acestep-v15-base"):
            bench.generate(options={"model": "sft"})
        assert not server.tasks


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ({"seconds": 4.9}, errors.InvalidDuration, "5 to 600"),
        ({"seconds": 601.0}, errors.InvalidDuration, "5 to 600"),
        ({"words": "x" * 513}, errors.InvalidPrompt, "512"),
        ({"lyrics": "la " * 1400}, errors.InvalidPrompt, "4096"),
        ({"bpm": 301.0}, errors.InvalidParameter, "30 to 300"),
        ({"options": {"scheduler": "heun"}}, errors.InvalidScheduler, "euler, sde"),
        ({"options": {"steps": 21}}, errors.InvalidInferenceSteps, "1 to 20"),
        ({"options": {"guidance": 7.0}}, errors.InvalidGuidanceScale, "without guidance"),
        ({"options": {"model": "base", "guidance": 16.0}}, errors.InvalidGuidanceScale, "1 to 15"),
    ],
)
def test_what_it_cannot_do_is_refused_before_any_work(
    bench: Bench, wish: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        bench.generate(**wish)
    assert not bench.server.tasks


def test_a_cover_is_uploaded_with_its_strength(bench: Bench) -> None:
    made = bench.generate(seconds=12.0, edit=Edit("cover", song(12.0), strength=0.6))
    task = bench.server.last
    assert (task.fields["task_type"], task.fields["audio_cover_strength"]) == ("cover", "0.6")
    assert (task.fields["use_random_seed"], task.fields["seed"]) == ("false", "42")
    assert task.files["src_audio"][0] == "src_audio.flac"
    assert made.audio.frames == 12 * DELIVERY_RATE
    assert not made.notes


def test_a_repaint_names_its_window(bench: Bench) -> None:
    bench.generate(seconds=12.0, edit=Edit("repaint", song(12.0), start=2.5, end=6.0), reference=song(3.0))
    task = bench.server.last
    assert [task.fields[name] for name in ("task_type", "repainting_start", "repainting_end")] == [
        "repaint",
        "2.5",
        "6.0",
    ]
    assert set(task.files) == {"src_audio", "ref_audio"}


def test_an_extension_is_a_repaint_of_added_silence(bench: Bench) -> None:
    made = bench.generate(seconds=15.0, edit=Edit("extend", song(11.0)))
    fields = bench.server.last.fields
    assert [float(fields[name]) for name in ("repainting_start", "repainting_end")] == [11.0, -1.0]
    assert made.audio.frames == 15 * DELIVERY_RATE
    assert not made.audio.samples[:, 12 * DELIVERY_RATE :].any()
    assert not made.notes


@pytest.mark.parametrize("fault", [500, 503, 429, 0])
def test_lost_polls_are_no_failures(bench: Bench, fault: int) -> None:
    bench.server.faults["query_result"].extend([fault] * 3)
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    assert len(bench.server.tasks) == 1


def test_a_server_that_is_gone_for_good_fails_and_its_task_can_be_taken_up(bench: Bench) -> None:
    bench.server.faults["query_result"].extend([500] * 200)
    with pytest.raises(errors.RemoteFailed, match="answered 500"):
        bench.generate()
    assert 60 <= bench.now < 120
    bench.server.faults.clear()
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    assert bench.server.count("release_task") == 1


def test_a_full_queue_is_waited_out(bench: Bench) -> None:
    bench.server.faults["release_task"].extend([429] * 8)
    bench.server.retry_after = "20"
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    assert bench.now >= 8 * 20
    bench.server.faults["release_task"].extend([429] * 50)
    with pytest.raises(errors.RemoteFailed, match="takes no order"):
        bench.generate(1, config={"timeout_seconds": 60})


def test_errors_inside_200_are_errors(bench: Bench) -> None:
    bench.server.enveloped = "model not initialized"
    with pytest.raises(errors.RemoteFailed, match="answered 500: model not initialized"):
        bench.generate()


def test_of_a_traceback_the_error_is_said(bench: Bench) -> None:
    bench.server.error = TRACEBACK
    with pytest.raises(errors.RemoteFailed, match="could not make it: RuntimeError: CUDA out of memory") as failed:
        bench.generate()
    assert failed.value.details["error"] == TRACEBACK
    bench.server.error = None
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE


def test_a_task_it_never_knew_is_given_up_when_the_server_is_idle(bench: Bench) -> None:
    bench.server.forgets = True
    with pytest.raises(errors.RemoteFailed, match="does not know its task"):
        bench.generate()
    assert bench.now < 30


def test_a_task_it_may_still_know_ends_by_our_own_deadline(bench: Bench) -> None:
    bench.server.forgets, bench.server.busy = True, True
    with pytest.raises(errors.TimedOut, match="100 s"):
        bench.generate(config={"timeout_seconds": 100})
    assert 100 <= bench.now < 110


def test_after_a_restart_a_task_is_taken_up_or_ordered_anew(bench: Bench) -> None:
    bench.generate()
    bench.generate()
    assert bench.server.count("release_task") == 1
    bench.server.tasks.clear()
    bench.generate()
    assert bench.server.count("release_task") == 2


def test_the_task_is_noted_before_anything_is_asked_about_it(bench: Bench) -> None:
    bench.cancel_at = "generate"
    noted: list[str] = []

    class Noting(ForgetfulMemo):
        def save(self) -> None:
            noted.append(json.dumps(self["ace-step-api"]))

    bench.memo = Noting()
    with pytest.raises(errors.Cancelled):
        bench.generate()
    assert next(iter(bench.server.tasks)) in noted[0]
    assert noted[-1] == "{}"
    assert bench.server.count("query_result") <= 1


@pytest.mark.parametrize("place", ["https://evil.example", "http://127.0.0.1:1", "//evil.example"])
def test_results_on_another_server_are_not_fetched(bench: Bench, place: str) -> None:
    bench.server.results_at = place
    with pytest.raises(errors.RemoteFailed, match="another server"):
        bench.generate()
    assert not bench.server.count("audio")


def test_addresses_stay_on_the_server() -> None:
    base = "http://host:8001/ace"
    assert address("/v1/audio?path=%2Ftmp%2Fa.wav", base) == f"{base}/v1/audio?path=%2Ftmp%2Fa.wav"
    assert address("/tmp/a b.wav", base) == f"{base}/v1/audio?path=%2Ftmp%2Fa%20b.wav"
    assert address("C:\\out\\a.wav", base) == f"{base}/v1/audio?path=C%3A%5Cout%5Ca.wav"
    assert address("file:///etc/passwd", base).startswith(f"{base}/v1/audio?path=file")
    for url in ("http://host:8002/x", "https://host:8001/x", "http://u:p@host:8001/x", "http://[", "//host:8001/x"):
        with pytest.raises(errors.RemoteFailed):
            address(url, base)


def test_a_path_outside_its_folder_is_forbidden_and_said(bench: Bench) -> None:
    bench.server.faults["audio"].append(403)
    with pytest.raises(errors.RemoteFailed, match="403"):
        bench.generate()


def test_the_key_goes_in_the_header_and_in_the_body(bench: Bench) -> None:
    bench.server.key = "s3cret"
    with pytest.raises(errors.RemoteFailed, match="refused the key") as refused:
        bench.generate()
    assert "ACESTEP_API_KEY" in refused.value.hint
    bench.key = "s3cret"
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE
    assert bench.server.last.fields["ai_token"] == "s3cret"
    headers = [headers.get("authorization") for path, headers in bench.server.asked if path.endswith("release_task")]
    assert headers[-1] == "Bearer s3cret"
    assert not any("authorization" in headers for path, headers in bench.server.asked if path.endswith("health"))


def test_a_server_that_is_mounted_below_a_path(bench: Bench) -> None:
    bench.server.mount = "/ace"
    assert bench.engine().unavailable() is None
    assert bench.generate().audio.frames == 10 * DELIVERY_RATE


def test_the_gradio_app_answers_when_it_is_done(bench: Bench) -> None:
    with ace_step_server("gradio") as server:
        app = Bench(server)
        server.finished.set()
        made = app.batch(42, 43)
        assert [task.fields["seed"] for task in server.tasks.values()] == [42, 43]
        assert not any(take.notes for take in made)
        with pytest.raises(errors.InvalidParameter, match="Gradio"):
            app.generate(edit=Edit("cover", song(10.0)))
        server.error = "no memory"
        with pytest.raises(errors.RemoteFailed, match="answered 500: no memory"):
            app.generate(9)


def test_a_cancel_is_heard_while_the_gradio_app_works() -> None:
    with ace_step_server("gradio") as server:
        bench = Bench(server, cancel_at="order")
        with pytest.raises(errors.Cancelled):
            bench.generate()
        for thread in [thread for thread in threading.enumerate() if "_into" in thread.name]:
            thread.join(10)
            assert not thread.is_alive()
        assert not server.finished.is_set()


def test_nothing_is_asked_until_it_is_set(bench: Bench) -> None:
    for config in ({}, {"enabled": False, "api_url": bench.server.url}, {"mode": "lib", "api_url": bench.server.url}):
        engine = AceStepApi(AceStepApiConfig(**config))
        missing = engine.unavailable()
        assert missing is not None
        assert missing.cure.startswith("sotto config set ace_step.")
        with pytest.raises(errors.BackendNotInstalled):
            engine.generate(Prompt("x", 10.0, 1), AceStepApiOptions(), Run())
    assert not bench.server.asked


def test_a_server_of_another_kind_is_noticed(bench: Bench) -> None:
    assert bench.engine().unavailable() is None
    with musicgen_server() as other:
        wrong = bench.engine(api_url=other.url).unavailable()
    assert wrong is not None
    assert "another kind (MusicGen)" in wrong.reason
    nobody = bench.engine(api_url="http://user:word@127.0.0.1:1").unavailable()
    assert nobody is not None
    assert "word" not in nobody.reason


def test_silence_is_no_music(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Audio(np.zeros((2, 480_000), np.float32), 48_000)
    monkeypatch.setattr("tests.servers.ace_step.tune", lambda *_: silent)
    with pytest.raises(errors.ModelInferenceFailed, match="silence"):
        bench.generate()
