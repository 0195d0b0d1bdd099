"""The remixing studio's routes: a track is separated by its id, and its stems are taken along by theirs."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx
from tests.server.conftest import AddTrack, Server

from sottovoce import errors
from sottovoce.engines.demucs.models import MODELS

STEMS = ("bass", "drums")


def asked(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/processing/separate", json=fields)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def shown(client: httpx.Client, job: str) -> dict[str, Any]:
    data: dict[str, Any] = client.get(f"/api/processing/job/{job}").json()["data"]
    return data


def done(server: Server, job: str, **report: Any) -> None:
    """A worker has separated a track, whose stems are in the library."""
    taken = server.studio.queue.begin(job, "test")
    assert taken is not None
    told = {"engine": "tone", "model": None, "stems": list(STEMS), "skipped": [], "notes": [], "cached": False}
    server.studio.queue.finish(taken, {"report": told | report, "tracks": [], "stems": {}, "files": {}})


def test_a_track_is_separated_and_its_stems_are_named(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    told = asked(client, track_id=track, engine="local")
    job = server.studio.queue.get(told["job_id"])
    assert told == {"job_id": job.id, "track_id": track, "model": None, "engine": "auto", "status": "queued"}
    assert (job.kind, job.lane, job.request["source"]) == ("separate", "batch", {"track": track})
    assert shown(client, job.id)["stems"] == []
    done(server, job.id, model="some")
    after = shown(client, job.id)
    assert (after["status"], after["progress"], after["model"], after["error"]) == ("completed", 100, "some", None)
    assert [stem["stem_type"] for stem in after["stems"]] == [*STEMS]
    for stem in after["stems"]:
        assert stem["url"] == f"/files/{stem['file_path']}"
        assert client.get(stem["url"]).content[:4] == b"RIFF"
        single = client.get(f"/export/stem/{stem['id']}")
        assert single.content[:4] == b"RIFF"
        assert f"Night%20{stem['stem_type']}.wav" in single.headers["content-disposition"]


def test_a_wish_for_engine_and_model_is_kept(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    job = server.studio.queue.get(asked(client, track_id=track, engine="demucs", model="htdemucs_ft")["job_id"])
    assert (job.request["engine"], job.request["model"]) == ("demucs", "htdemucs_ft")


def test_what_cannot_be_done_is_refused(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    cases: tuple[tuple[dict[str, Any], int, str], ...] = (
        ({}, 400, "track_id"),
        ({"track_id": "../x"}, 400, "track_id"),
        ({"track_id": "gone"}, 404, "gone"),
        ({"track_id": track, "engine": "magic"}, 422, "magic"),
        ({"track_id": track, "model": "mp3net"}, 422, "mp3net"),
        ({"track_id": track, "engine": "classical", "model": "htdemucs"}, 422, "htdemucs"),
    )
    for fields, status, word in cases:
        answer = client.post("/api/processing/separate", json=fields)
        assert (answer.status_code, set(answer.json())) == (status, {"error"})
        assert word in answer.json()["error"]
    assert server.studio.queue.list() == ()


def test_a_failure_says_why(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    job = asked(client, track_id=track)["job_id"]
    taken = server.studio.queue.begin(job, "test")
    assert taken is not None
    server.studio.queue.fail(taken, errors.OutOfMemory("it needs 5 GB", hint="Close something."))
    told = shown(client, job)
    assert (told["status"], told["error"], told["stems"]) == ("failed", "it needs 5 GB. Close something.", [])


def test_jobs_are_their_owners_and_of_this_kind(server: Server, add_track: AddTrack) -> None:
    (anna, anna_id), (bert, _) = server.user("anna"), server.user("bert")
    job = asked(anna, track_id=add_track(server.studio).id)["job_id"]
    done(server, job)
    assert bert.get(f"/api/processing/job/{job}").status_code == 404
    assert bert.get(f"/files/stems/{job}/bass.wav").status_code == 404
    assert anna.get(f"/files/stems/{job}/bass.wav").status_code == 200
    assert anna.get(f"/files/stems/{job}/piano.wav").status_code == 404
    assert anna.get(f"/files/stems/{job}/bass.flac").status_code == 404
    assert anna.get(f"/api/processing/job/{server.job(anna_id).id}").status_code == 404


def test_all_stems_come_as_one_file(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    answer = client.get(f"/export/stems/{add_track(server.studio, 'My Night').id}")
    assert "My%20Night_stems.zip" in answer.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"My Night/bass.flac", "My Night/drums.flac"} <= set(names)
    bare = add_track(server.studio, hertz=500, bare=True).id
    none = client.get(f"/export/stems/{bare}")
    assert (none.status_code, "No stems available" in none.json()["error"]) == (404, True)


def test_there_are_no_other_stems(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    for name in ("x", f"{track}.tone.piano", f"{track}.other.bass", "gone.tone.bass", f"{track}..bass"):
        answer = client.get(f"/export/stem/{name}")
        assert (answer.status_code, set(answer.json())) == (404, {"error"})


def test_the_models_that_can_be_named(server: Server) -> None:
    told = server.client().get("/api/processing/models").json()["data"]["models"]
    assert {model["name"]: model["stems"] for model in told} == {n: len(m.stems) for n, m in MODELS.items()}
    assert all(model["description"] for model in told)
