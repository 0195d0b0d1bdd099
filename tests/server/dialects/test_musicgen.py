"""The MusicGen wire: what its clients send is done, and told in the shapes they know."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from tests.server.conftest import AddTrack, Server, tone, wav

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio
from sottovoce.engines.base import Run
from sottovoce.engines.musicgen_api import MusicgenApi, MusicgenApiOptions, Scene
from sottovoce.engines.musicgen_separate import MusicgenSeparate, MusicgenSeparateOptions
from sottovoce.engines.musicgen_wire import MusicgenConfig
from sottovoce.jobs.job import Job
from sottovoce.jobs.queue import Queue
from sottovoce.media.encode import encode, format_of
from sottovoce.progress import Progress
from sottovoce.prompt import Prompt
from sottovoce.server.dialects.musicgen import STEMS

pytestmark = pytest.mark.usefixtures("quick_probe")

PIECE = {"prompt": "calm piano", "duration": 30, "mood": None}


def ordered(client: httpx.Client, route: str = "/generate", **body: Any) -> str:
    answer = client.post(route, json=body or PIECE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "queued"
    job: str = answer.json()["job_id"]
    return job


def begun(server: Server, job: str) -> Job:
    taken = server.studio.queue.begin(job, "test")
    assert taken is not None
    return taken


def made(server: Server, job: str, track: str) -> None:
    """A worker has made a piece."""
    server.studio.queue.finish(begun(server, job), {"report": {}, "tracks": [track], "stems": {}, "files": {}})


def split(server: Server, job: str, stems: tuple[str, ...] = STEMS) -> None:
    """A worker has separated a song into WAV files."""
    folder = server.studio.job_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        encode(tone(1.0), folder / f"{stem}.wav", format_of(folder / f"{stem}.wav"))
    report = {"engine": "tone", "stems": list(stems), "skipped": [], "notes": ["shares"], "cached": False}
    done = {"report": report, "tracks": [], "stems": {stem: f"{stem}.wav" for stem in stems}, "files": {}}
    server.studio.queue.finish(begun(server, job), done)


def test_a_piece_is_a_job_of_the_batch_lane(server: Server) -> None:
    client = server.client()
    job = server.studio.queue.get(ordered(client, prompt="piano", duration=12, mood="calm", version=3))
    assert (job.kind, job.lane) == ("generate", "batch")
    asked = {name: job.request[name] for name in ("prompt", "duration", "mood", "versions")}
    assert asked == {"prompt": "piano", "duration": 12, "mood": "calm", "versions": 1}


def test_a_soundtrack_says_what_is_done_otherwise(server: Server) -> None:
    scenes = [{"mood": "calm", "duration": 30}, {"mood": None, "duration": 5}]
    body = {"base_prompt": "piano", "scenes": scenes, "use_beat_aligned_crossfade": True, "crossfade_duration": 2.0}
    answer = server.client().post("/generate/soundtrack", json=body).json()
    assert len(answer["notes"]) == 2
    job = server.studio.queue.get(answer["job_id"])
    assert job.request["duration"] == 35
    assert [scene["start"] for scene in job.request["scenes"]] == [0]


OUT_OF_RANGE: tuple[tuple[str, dict[str, Any], list[Any]], ...] = (
    ("/generate", {**PIECE, "duration": 9}, ["body", "duration"]),
    ("/generate", {**PIECE, "duration": 121}, ["body", "duration"]),
    ("/generate", {**PIECE, "duration": 30.5}, ["body", "duration"]),
    ("/generate", {**PIECE, "prompt": ""}, ["body", "prompt"]),
    ("/generate", {**PIECE, "prompt": "x" * 501}, ["body", "prompt"]),
    ("/generate", {"duration": 30}, ["body", "prompt"]),
    ("/generate", {**PIECE, "prompt": "  "}, ["body"]),
    ("/generate/soundtrack", {"base_prompt": "x", "scenes": []}, ["body", "scenes"]),
    ("/generate/soundtrack", {"base_prompt": "x", "scenes": [{"duration": 120}] * 6}, ["body"]),
    (
        "/generate/soundtrack",
        {"base_prompt": "x", "scenes": [{"duration": 4}, {"duration": 60}]},
        ["body", "scenes", 0, "duration"],
    ),
)


def test_what_is_out_of_range_is_refused_in_its_words(server: Server) -> None:
    client = server.client()
    for route, body, place in OUT_OF_RANGE:
        answer = client.post(route, json=body)
        assert answer.status_code == 422, body
        (wrong,) = answer.json()["detail"]
        assert (wrong["loc"], set(wrong)) == (place, {"loc", "msg", "type"})
    assert server.studio.queue.list() == ()


def test_text_that_is_none_is_refused(server: Server) -> None:
    content = b'{"prompt": "\\ud83d", "duration": 30}'
    answer = server.client().post("/generate", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "detail" in answer.json()


def test_a_job_is_told_from_its_start_to_its_end(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    job = ordered(client)
    waiting = client.get(f"/jobs/{job}").json()
    assert waiting == {
        "job_id": job, "status": "queued", "result_urls": None, "error": None, "progress": 0.0, "progress_detail": None,
    }  # fmt: skip
    taken = begun(server, job)
    server.studio.queue.progress(taken, Progress("render", 40))
    running = client.get(f"/jobs/{job}").json()
    assert (running["status"], running["progress"], running["progress_detail"]) == ("processing", 40.0, None)
    track = add_track(server.studio)
    server.studio.queue.finish(taken, {"report": {}, "tracks": [track.id], "stems": {}, "files": {}})
    done = client.get(f"/jobs/{job}").json()
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100.0, None)
    assert done["result_urls"] == [f"/files/{job}_generated.wav"]
    assert (done["engine"], done["skipped"]) == ("tone", [])
    server.studio.library.remove(track.id)
    gone = client.get(f"/jobs/{job}").json()
    assert gone["status"] == "failed"
    assert track.id in gone["error"]
    assert gone["result_urls"] is None


def test_the_scene_is_told_that_is_worked_on(server: Server) -> None:
    client = server.client()
    scenes = [{"duration": 20}, {"duration": 20}]
    job = ordered(client, "/generate/soundtrack", base_prompt="piano", scenes=scenes)
    taken, told = begun(server, job), []
    for stage, percent in (("render", 10), ("render", 60), ("write", 97)):
        server.studio.queue.progress(taken, Progress(stage, percent))
        told.append(client.get(f"/jobs/{job}").json()["progress_detail"])
    assert told == [
        {"current_scene": 1, "total_scenes": 2, "stage": "generating"},
        {"current_scene": 2, "total_scenes": 2, "stage": "generating"},
        {"current_scene": 2, "total_scenes": 2, "stage": "finalizing"},
    ]


def test_what_came_to_nothing_has_failed_and_says_why(server: Server) -> None:
    client = server.client()
    failed, cancelled = ordered(client), ordered(client)
    server.studio.queue.fail(begun(server, failed), errors.ModelInferenceFailed("it broke", hint="Try again."))
    server.studio.queue.cancel(cancelled)
    told = [client.get(f"/jobs/{job}").json() for job in (failed, cancelled)]
    assert [(job["status"], job["error"]) for job in told] == [
        ("failed", "it broke. Try again."),
        ("failed", "cancelled"),
    ]


def test_jobs_and_files_are_their_owners(server: Server, add_track: AddTrack) -> None:
    (anna, _), (bert, _) = server.user("anna"), server.user("bert")
    job = ordered(anna)
    made(server, job, add_track(server.studio).id)
    for place in (f"/jobs/{job}", f"/files/{job}_generated.wav"):
        assert anna.get(place).status_code == 200
        assert bert.get(place).status_code == 404
    assert anna.get("/jobs/unknown").json() == {"detail": "Job not found"}


def test_jobs_of_other_kinds_are_none_of_its(server: Server) -> None:
    mood = server.studio.queue.submit("mood", {"source": {"upload": "a" * 32}})
    assert server.client().get(f"/jobs/{mood.id}").status_code == 404


def test_a_piece_is_fetched_as_wav_whole_or_in_parts(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    job = ordered(client)
    made(server, job, add_track(server.studio).id)
    place = f"/files/{job}_generated.wav"
    whole = client.get(place)
    assert (whole.content[:4], whole.headers["content-type"]) == (b"RIFF", "audio/wav")
    part = client.get(place, headers={"Range": "bytes=4-9", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[4:10])


def test_there_are_no_other_files(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    job = ordered(client)
    made(server, job, add_track(server.studio).id)
    others = ("_soundtrack.wav", "_drums.wav", ".wav", "_generated.flac", "_generated.wav/..")
    for name in (*(f"{job}{other}" for other in others), "..%2fsotto.db", "x", "%00", "0" * 16 + "_generated.wav"):
        answer = client.get(f"/files/{name}")
        assert answer.status_code == 404, name


def test_four_stems_come_or_none(server: Server) -> None:
    client = server.client()
    jobs = []
    for stems in (STEMS, ("drums", "bass")):
        job = client.post("/separate", files={"file": ("My Song_drums.wav", wav(0.2), "audio/wav")}).json()["job_id"]
        assert client.get(f"/jobs/{job}").json()["status"] == "queued"
        split(server, job, stems)
        jobs.append(client.get(f"/jobs/{job}").json())
    whole, half = jobs
    assert whole["result_urls"] == [f"/files/{whole['job_id']}_{stem}.wav" for stem in STEMS]
    assert (whole["engine"], whole["notes"]) == ("tone", ["shares"])
    for url in whole["result_urls"]:
        assert client.get(url).content[:4] == b"RIFF"
    assert (half["status"], half["result_urls"]) == ("failed", None)
    assert "other, vocals" in half["error"]


def test_a_song_goes_when_its_job_has_ended(server: Server) -> None:
    client = server.client()
    job = client.post("/separate", files={"file": ("song.wav", wav(0.2))}).json()["job_id"]
    (kept,) = server.studio.uploads.folder.iterdir()
    assert server.studio.queue.get(job).request["source"] == {"upload": kept.name}
    client.get(f"/jobs/{job}")
    assert kept.exists()
    split(server, job)
    client.get(f"/jobs/{job}")
    assert not kept.exists()


def test_a_song_that_cannot_be_read_is_refused_and_not_kept(server: Server) -> None:
    answer = server.client().post("/separate", files={"file": ("notes.txt", b"words")})
    assert answer.status_code == 400
    assert "notes.txt" in answer.json()["detail"]
    assert server.client().post("/separate", data={"audio_url": "https://example.org/a.wav"}).status_code == 422
    assert not server.studio.queue.list()
    assert [*server.studio.uploads.folder.iterdir()] == []


def test_a_full_queue_says_when_to_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.server.dialects.musicgen.MOST_WAITING", 1)
    client = server.client()
    ordered(client)
    full = client.post("/generate", json=PIECE)
    assert (full.status_code, set(full.json())) == (429, {"detail"})
    assert int(full.headers["retry-after"]) >= 1


def test_asking_after_a_job_never_fails_in_passing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = server.client()
    job = ordered(client)

    def busy(*_: Any, **__: Any) -> Job:
        raise errors.LibraryBusy("another process holds it")

    monkeypatch.setattr(Queue, "get", busy)
    answer = client.get(f"/jobs/{job}")
    assert (answer.status_code, answer.json()["status"]) == (200, "processing")


def test_the_key_header_is_a_token(server: Server) -> None:
    secret = server.token("anna")
    for headers, status in (({}, 401), ({"X-API-Key": "wrong"}, 403), ({"X-API-Key": secret}, 200)):
        assert server.client(**headers).post("/generate", json=PIECE).status_code == status
    assert server.client().get("/health").status_code == 200


@pytest.mark.long
def test_our_own_clients_work_against_it(served: str) -> None:
    config, seen = MusicgenConfig(base_url=served), list[Progress]()
    run = Run(seen.append)
    engine = MusicgenApi(config)
    assert engine.unavailable() is None
    piece = engine.generate(Prompt(words="calm piano", seconds=11.5, seed=1, mood="calm"), MusicgenApiOptions(), run)
    assert piece.audio.frames == round(11.5 * 48_000)
    scenes = (Scene(seconds=16, mood="calm"), Scene(seconds=16, mood="tense"))
    options = MusicgenApiOptions(scenes=scenes)
    whole = engine.generate(Prompt(words="piano", seconds=32, seed=1), options, run)
    assert whole.audio.frames == 32 * 48_000
    song = Audio(np.stack([np.sin(np.arange(96_000) / 20)] * 2).astype(np.float32) * 0.5, 48_000)
    sink = ArrayWriter(48_000)
    MusicgenSeparate(config).separate(ArrayReader(song), sink, MusicgenSeparateOptions(), Run(seen.append))
    stems = sink.stems()
    assert set(stems) == set(STEMS)
    mix = sum(stem.samples for stem in stems.values())
    np.testing.assert_allclose(mix, song.samples, atol=1e-3)
