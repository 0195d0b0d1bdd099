"""lalal.ai over HTTP: what is left and used, what a request would cost, and a stop that reaches the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.server.conftest import AddTrack, Server, error_of
from tests.servers.lalalai import KEY, LalalaiServer, lalalai_server

from sottovoce.engines.catalog import SEPARATORS
from sottovoce.engines.lalalai import Lalalai, LalalaiConfig
from sottovoce.jobs.job import Job
from sottovoce.jobs.kept import KeptMemo


@pytest.fixture
def service() -> Iterator[LalalaiServer]:
    with lalalai_server(lambda: 1000.0) as service:
        yield service


@pytest.fixture
def anna(server: Server, service: LalalaiServer) -> tuple[httpx.Client, str]:
    """A user with a key of her own, on a server without one."""
    engine: Any = Lalalai(LalalaiConfig(key_known=True), base_url=service.url)
    server.studio.engines.preload(SEPARATORS, "lalalai", engine)
    client, owner = server.user("anna")
    client.patch("/api/settings", json={"lalalai.api_key": KEY})
    return client, owner


def separation(server: Server, owner: str, engine: str = "lalalai") -> Job:
    request = {"source": {"track": "x"}, "engine": engine, "only": ["vocals", "drums"]}
    return server.studio.queue.submit("separate", request, owner=owner)


def test_the_quota_is_what_is_left_and_what_was_used_through_here(
    server: Server, anna: tuple[httpx.Client, str]
) -> None:
    client, owner = anna
    begun = server.studio.queue.begin(separation(server, owner).id, "here:0")
    assert begun is not None
    report = {"engine": "lalalai", "seconds": 90.0, "options": {"only": ["vocals", "drums"]}}
    server.studio.queue.finish(begun, {"report": report})
    told = client.get("/api/lalalai/quota").json()
    assert told["used_minutes"] == 3.0
    assert told["quota_minutes"] == told["remaining_minutes"] + 3.0
    assert told["remaining_minutes"] > 0
    other, _ = server.user("bert")
    answer = other.get("/api/lalalai/quota")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "BACKEND_NOT_INSTALLED")


def test_a_stop_reaches_the_tasks_there_and_only_ones_own(server: Server, anna: tuple[httpx.Client, str]) -> None:
    client, owner = anna
    mine, also, plain = separation(server, owner), separation(server, owner), separation(server, owner, "classical")
    theirs = separation(server, "bert")
    folder = server.studio.job_folder(mine.id)
    folder.mkdir(parents=True)
    memo = KeptMemo.of(folder)
    memo["lalalai"] = {"source": "s1", "expires": 2e9, "keys": {"vocals": "k"}, "ids": {"vocals": "t1"}}
    memo.save()
    stopped = client.post("/api/lalalai/cancel", json={"job": mine.id})
    assert stopped.json() == {"cancelled": [{"job": mine.id, "tasks": ["t1"]}]}
    assert KeptMemo.of(folder)["lalalai"]["ids"] == {}
    answer = client.post("/api/lalalai/cancel", json={"job": plain.id})
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER")
    assert client.post("/api/lalalai/cancel", json={"job": theirs.id}).status_code == 404
    assert client.post("/api/lalalai/cancel-all").json() == {"cancelled": [{"job": also.id, "tasks": []}]}
    states = [server.studio.queue.get(job.id).state for job in (mine, also, plain, theirs)]
    assert states == ["cancelled", "cancelled", "queued", "queued"]


def test_an_estimate_says_what_would_be_charged(
    server: Server, anna: tuple[httpx.Client, str], add_track: AddTrack
) -> None:
    client, _ = anna
    source = {"source": {"track": add_track(server.studio).id}, "kind": "separate"}
    asked = source | {"engine": "lalalai", "only": ["vocals", "drums"]}
    assert client.post("/api/estimate", json=asked).json()["estimate"]["lalalai_minutes"] == 0.1
    assert client.post("/api/estimate", json=source).json()["estimate"]["lalalai_minutes"] is None
    assert server.studio.queue.list() == ()


def test_an_estimate_comes_from_what_was_done_here(server: Server) -> None:
    client, body = server.client(), {"kind": "generate", "prompt": "rain", "duration": 100, "engine": "tone"}
    empty = client.post("/api/estimate", json=body).json()["estimate"]
    assert (empty["work"], empty["runs"], empty["sound_seconds"]) == (None, 0, 100)
    begun = server.studio.queue.begin(server.job(engine="tone").id, "here:0")
    assert begun is not None
    server.studio.queue.finish(begun, {"report": {"engine": "tone"}, "sound_seconds": 1e-9})
    found = client.post("/api/estimate", json=body | {"versions": 2}).json()["estimate"]
    assert (found["runs"], found["engine"], found["sound_seconds"]) == (1, "tone", 200)
    assert found["work"] > 0
    assert client.post("/api/estimate", json=body | {"engine": "auto"}).json()["estimate"]["work"] is None
    assert found["position"] == 1


def test_a_job_tells_its_log_without_the_places_of_this_machine(server: Server) -> None:
    client, job = server.client(), server.job()
    assert client.get(f"/api/jobs/{job.id}/log").text == ""
    folder = server.studio.job_folder(job.id)
    folder.mkdir(parents=True)
    (folder / ".log").write_text(f"could not read {folder}/x\n")
    assert client.get(f"/api/jobs/{job.id}/log").text == f"could not read LIBRARY/jobs/{job.id}/x\n"
    assert client.get(f"/api/jobs/{job.id}/files").json() == {"files": []}


def test_waiting_jobs_are_put_in_another_order(server: Server) -> None:
    client = server.client()
    first, second, third = (server.job().id for _ in range(3))
    assert client.post(f"/api/jobs/{third}/move", json={"before": first}).json()["job"]["position"] == 1
    assert client.post(f"/api/jobs/{second}/move", json={}).json()["job"]["position"] == 1
    order = sorted(server.studio.queue.list(), key=lambda job: job.position or 0)
    assert [job.id for job in order] == [second, third, first]


def test_head_is_answered_like_get_without_a_body(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio).id
    for path in ("/health", "/api/jobs", f"/api/tracks/{track}/audio", f"/api/tracks/{track}/recipe"):
        told, got = client.head(path), client.get(path)
        assert (told.status_code, told.content) == (200, b"")
        assert told.headers["content-type"] == got.headers["content-type"]
    assert client.head("/api/jobs/x").status_code == 404
    assert client.head(f"/api/jobs/{server.job().id}/events").status_code == 405


def test_a_prompt_is_said_better_and_keeps_what_was_asked_for(server: Server) -> None:
    told = server.client().post("/api/enhance", json={"prompt": "rainy night", "bpm": 71, "key": "A minor"}).json()
    assert (told["by"], told["bpm"], told["key"]) == ("expander", 71, "A minor")
    assert "rain" in told["caption"]
    assert server.client().post("/api/enhance", json={"prompt": ""}).status_code == 422
