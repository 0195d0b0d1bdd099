"""The stem service's routes: a song goes in, its separation is watched, its stems come out, and the song is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.conftest import Server, Start, tone, wav

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.media.encode import encode, format_of
from sottovoce.progress import Progress
from sottovoce.server.dialects.songs import drop_songs

pytestmark = pytest.mark.usefixtures("quick_probe")

STEMS = ("drums", "vocals")


def sent(client: httpx.Client, name: str = "song.wav", **query: str) -> httpx.Response:
    return client.post("/api/separate", params=query, files={"file": (name, wav(0.2))})


def task(client: httpx.Client) -> str:
    answer = sent(client)
    assert answer.status_code == 200, answer.text
    (name,) = answer.json().values()
    return str(name)


def begun(server: Server, job: str) -> Job:
    taken = server.studio.queue.begin(job, "test")
    assert taken is not None
    return taken


def finished(server: Server, taken: Job) -> None:
    """A worker has separated the song."""
    folder = server.studio.job_folder(taken.id)
    for stem in STEMS:
        encode(tone(0.2), folder / f"{stem}.wav", format_of(folder / f"{stem}.wav"))
    report = {"engine": "tone", "stems": list(STEMS), "skipped": [], "notes": [], "cached": True}
    done = {"report": report, "tracks": [], "stems": {stem: f"{stem}.wav" for stem in STEMS}, "files": {}}
    assert server.studio.queue.finish(taken, done)


def heard(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    """Everything the stream of a task says, to its end."""
    with client.stream("GET", f"/api/separate/{name}/progress") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [*said(answer)]


def said(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """What a stream says, as it comes."""
    return (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)


def songs(server: Server) -> list[Path]:
    return [*server.studio.uploads.folder.iterdir()]


def test_a_song_is_filed_and_its_stems_will_be_wav(server: Server) -> None:
    job = server.studio.queue.get(task(server.client()))
    assert (job.kind, job.lane, job.request["format"]) == ("separate", "batch", "wav")
    assert "model" not in job.request


def test_its_progress_is_told_to_the_end(server: Server) -> None:
    client = server.client()
    name = task(client)
    with client.stream("GET", f"/api/separate/{name}/progress") as answer:
        events = said(answer)
        told = [next(events), next(events)]
        taken = begun(server, name)
        server.studio.queue.progress(taken, Progress("separate", 40))
        while told[-1]["progress"] < 40:
            told.append(next(events))
        finished(server, taken)
        told += events
    assert list(dict.fromkeys(event["status"] for event in told)) == ["queued", "processing", "completed"]
    percents = [event["progress"] for event in told]
    assert percents == sorted(percents)
    last = {"status": "completed", "progress": 100.0, "stems": [*STEMS], "cached": True}
    assert {name: told[-1][name] for name in last} == last
    assert told[-1]["engine"] == "tone"
    assert heard(client, name) == told[-1:]


def test_a_failure_is_told_in_its_words_and_takes_the_song_along(server: Server) -> None:
    client = server.client()
    for error, words in (
        (errors.TimedOut("it took longer than 600 s"), "Separation timed out"),
        (errors.OutOfMemory("it needs 5 GB"), "Insufficient memory"),
        (errors.ModelInferenceFailed("it broke"), "Separation failed: it broke"),
        (None, "Separation failed: cancelled"),
    ):
        name = task(client)
        assert len(songs(server)) == 1
        if error is None:
            server.studio.queue.cancel(name)
        else:
            server.studio.queue.fail(begun(server, name), error)
        (last,) = heard(client, name)
        assert (last["status"], last["error"]) == ("failed", words)
        assert songs(server) == []


def test_an_unknown_task_is_told_and_the_stream_closed(server: Server) -> None:
    (anna, _), (bert, _) = server.user("anna"), server.user("bert")
    name = task(anna)
    for client, asked in ((anna, "unknown"), (bert, name)):
        assert heard(client, asked) == [{"error": "Task not found"}]
        assert client.get(f"/api/separate/{asked}/stems/vocals").json() == {"detail": "Task not found"}


def test_stems_are_fetched_once_they_are_there(server: Server) -> None:
    client = server.client()
    name = task(client)
    place = f"/api/separate/{name}/stems"
    early = client.get(f"{place}/vocals")
    assert (early.status_code, early.json()) == (404, {"detail": "Stems not ready"})
    finished(server, begun(server, name))
    stem = client.get(f"{place}/vocals")
    assert (stem.content[:4], stem.headers["content-type"]) == (b"RIFF", "audio/wav")
    part = client.get(f"{place}/vocals", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    for other in ("piano", ".upload", "..%2f..%2fsotto.db"):
        answer = client.get(f"{place}/{other}")
        assert answer.status_code == 404
    assert client.get(f"{place}/piano").json() == {"detail": "Stem 'piano' not found"}


def test_other_endings_are_refused_before_anything_is_kept(server: Server) -> None:
    client = server.client()
    for name in ("notes.txt", "clip.mp4", "song", "song.wav.exe"):
        answer = sent(client, name)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("Unsupported format: ")
    assert server.studio.queue.list() == ()


def test_endings_say_what_is_taken_and_the_bytes_what_it_is(server: Server) -> None:
    client = server.client()
    for name in ("song.WAV", "a.mp3", "b.flac", "c.ogg", "d.m4a", "e.aac"):
        assert sent(client, name).status_code == 200


def test_what_has_the_ending_but_is_no_sound_is_refused(server: Server) -> None:
    answer = server.client().post("/api/separate", files={"file": ("song.mp3", b"words" * 100)})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Unsupported format: ")
    assert songs(server) == []


def test_a_song_that_is_too_large_is_refused(start: Start) -> None:
    server = start(separation_max_mb=1)
    answer = server.client().post("/api/separate", files={"file": ("a.wav", wav(70))})
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (413, "File too large")
    assert songs(server) == []


def test_a_model_that_nobody_has_is_refused_at_once(server: Server) -> None:
    client = server.client()
    for model in ("mp3net", "../x", "a.th"):
        assert sent(client, model=model).status_code == 422
    job = server.studio.queue.get(sent(client, model="htdemucs_6s").json()["task_id"])
    assert job.request["model"] == "htdemucs_6s"


def test_songs_of_jobs_that_nobody_asks_after_are_swept(server: Server) -> None:
    client = server.client()
    waiting, over = task(client), task(client)
    theirs = server.upload()
    server.studio.queue.cancel(over)
    assert drop_songs(server.studio) == 1
    kept = server.studio.queue.get(waiting).request["source"]["upload"]
    assert {path.name for path in songs(server)} == {kept, theirs.id}
    assert drop_songs(server.studio) == 0
