"""Jobs over HTTP: filed once, told as they happen, and never a path from elsewhere."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest
from tests.server.conftest import AddTrack, Server, Start, error_of, until

from sottovoce.errors import ModelInferenceFailed
from sottovoce.progress import Progress
from sottovoce.tasks import TASKS

pytestmark = pytest.mark.usefixtures("quick_probe")

RAIN = {"kind": "generate", "prompt": "rain", "lane": "batch"}


def posted(client: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/api/jobs", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()["job"]
    assert answer.headers["location"] == f"/api/jobs/{job['id']}" == job["links"]["self"]
    return job


def test_a_job_is_filed_listed_shown_and_cancelled(server: Server) -> None:
    client = server.client()
    job = posted(client, {**RAIN, "duration": 30, "seed": 7})
    assert (job["state"], job["kind"], job["lane"], job["owner"], job["position"]) == (
        "queued",
        "generate",
        "batch",
        "",
        1,
    )
    assert job["request"]["prompt"] == "rain"
    assert client.get("/api/jobs").json() == {"jobs": [job], "after": None}
    assert client.get(f"/api/jobs/{job['id']}").json() == {"job": job}
    assert client.delete(f"/api/jobs/{job['id']}").json()["job"]["state"] == "cancelled"
    again = client.delete(f"/api/jobs/{job['id']}")
    assert (again.status_code, error_of(again)["code"]) == (409, "JOB_ENDED")


def test_lists_are_filtered_and_paged(server: Server) -> None:
    client = server.client()
    ids = [posted(client, RAIN)["id"] for _ in range(3)]
    client.delete(f"/api/jobs/{ids[0]}")

    def listed(**query: Any) -> list[str]:
        return [job["id"] for job in client.get("/api/jobs", params=query).json()["jobs"]]

    assert listed(state="queued") == [ids[2], ids[1]]
    assert listed(kind="score") == []
    first = client.get("/api/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in first["jobs"]] == [ids[2], ids[1]]
    assert listed(limit=2, after=first["after"]) == [ids[0]]


@pytest.mark.parametrize("query", [{"state": "lost"}, {"limit": 0}, {"limit": 1000}, {"kind": "x"}, {"sort": "id"}])
def test_wrong_questions_are_refused(server: Server, query: dict[str, Any]) -> None:
    answer = server.client().get("/api/jobs", params=query)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER")
    assert next(iter(query)) in error_of(answer)["message"]


def test_the_same_key_is_the_same_job(server: Server) -> None:
    client = server.client()
    first = posted(client, RAIN, **{"Idempotency-Key": "k"})
    assert posted(client, RAIN, **{"Idempotency-Key": "k"})["id"] == first["id"]
    other = client.post("/api/jobs", json={**RAIN, "prompt": "sun"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, error_of(other)["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    anna, _ = server.user("anna")
    assert posted(anna, {**RAIN, "prompt": "sun"}, **{"Idempotency-Key": "k"})["id"] != first["id"]


def test_a_full_queue_says_when_to_come_back(server: Server) -> None:
    client = server.client()
    for _ in range(5):
        posted(client, {"kind": "generate", "prompt": "rain"})
    full = client.post("/api/jobs", json={"kind": "generate", "prompt": "rain"})
    assert (full.status_code, error_of(full)["code"]) == (429, "QUEUE_FULL")
    assert int(full.headers["retry-after"]) >= 1
    posted(client, RAIN)


def test_a_job_is_tried_again_as_its_owners(server: Server) -> None:
    anna, anna_id = server.user("anna")
    admin = server.client(server.token("admin", admin=True))
    job = posted(anna, RAIN)
    again = admin.post(f"/api/jobs/{job['id']}/retry").json()["job"]
    assert (again["owner"], again["request"]["prompt"]) == (anna_id, "rain")
    assert again["id"] != job["id"]


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({}, "INVALID_PARAMETER", "kind"),
        ({"kind": "sing"}, "INVALID_PARAMETER", "kind"),
        ({"kind": ["generate"]}, "INVALID_PARAMETER", "kind"),
        ({"kind": "generate"}, "INVALID_PROMPT", "required"),
        ({**RAIN, "prompt": " "}, "INVALID_PROMPT", "empty"),
        ({**RAIN, "duration": 1}, "INVALID_DURATION", "5 to 600"),
        ({**RAIN, "duration": "NaN"}, "INVALID_DURATION", "duration"),
        ({**RAIN, "volume": 11}, "INVALID_PARAMETER", "volume"),
        ({**RAIN, "lane": "fast"}, "INVALID_PARAMETER", "lane"),
        ({**RAIN, "prompt": "\ud83d"}, "INVALID_PARAMETER", "Unicode"),
        ({**RAIN, "options": {"\ud83d": 1}}, "INVALID_PARAMETER", "Unicode"),
        ({**RAIN, "options": json.loads("[" * 900 + "]" * 900)}, "INVALID_PARAMETER", "deep"),
        ({"kind": "separate", "source": {"upload": "gone"}}, "UPLOAD_NOT_FOUND", "gone"),
        ({"kind": "separate", "source": {"track": "gone"}}, "TRACK_NOT_FOUND", "gone"),
        ({"kind": "separate", "source": {"name": "a", "sha256": "a" * 64}}, "UPLOAD_NOT_FOUND", "library"),
        ({"kind": "separate", "source": {"upload": "../x"}}, "INVALID_PARAMETER", "source"),
    ],
)
def test_a_request_that_cannot_be_done_is_refused_before_it_waits(
    server: Server, body: dict[str, Any], code: str, word: str
) -> None:
    answer = server.client().post("/api/jobs", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert error_of(answer)["code"] == code, answer.text
    assert word in error_of(answer)["message"]
    assert server.studio.queue.list() == ()


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"{", "application/json"), (b"[1]", "application/json"), (b"", "application/json"), (b"{}", "text/plain"),
     (b"\xff\xfe", "application/json"), (b"[" * 50_000, "application/json")],
)  # fmt: skip
def test_what_is_no_json_is_refused(server: Server, content: bytes, kind: str) -> None:
    answer = server.client().post("/api/jobs", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422), answer.text
    error_of(answer)


def test_an_upload_is_its_owners_to_use(server: Server) -> None:
    anna, anna_id = server.user("anna")
    bert, _ = server.user("bert")
    upload = server.upload(anna_id)
    body = {"kind": "separate", "source": {"upload": upload.id}}
    assert posted(anna, body)["request"]["source"] == {"upload": upload.id}
    assert error_of(bert.post("/api/jobs", json=body))["code"] == "UPLOAD_NOT_FOUND"
    assert posted(server.client(server.token("admin", admin=True)), body)


def test_a_track_is_everyones_to_use(server: Server, add_track: AddTrack) -> None:
    anna, _ = server.user("anna")
    track = add_track(server.studio)
    assert posted(anna, {"kind": "separate", "source": {"track": track.id}})


PATHS = ("/etc/passwd", "../../etc/passwd", "C:\\Windows\\win.ini", "file:///etc/passwd")
#: Words for people and engines, which nobody opens.
FREE = {("generate", name) for name in ("prompt", "caption", "lyrics")} | {("score", "prompt")}


def shapes(path: str) -> list[Any]:
    """Ways in which a path could be brought into a field."""
    shaped = [{"path": path}, {"upload": path}, {"track": path}, {"model": path}, {"model": {"x": [path]}}, [path]]
    return [path, *shaped] if path == PATHS[0] else [path]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", TASKS)
def test_a_path_is_refused_in_every_field_of_every_request(
    server: Server, add_track: AddTrack, kind: str, path: str
) -> None:
    client = server.client()
    bare: dict[str, dict[str, Any]] = {"generate": {"prompt": "rain"}, "pull": {"names": ["musicgen-small"]}}
    whole = bare.get(kind) or {"source": {"track": add_track(server.studio).id}}
    wrong = []
    for name in (name for name in TASKS[kind].request.model_fields if name != "kind"):
        for value in shapes(path):
            answer = client.post("/api/jobs", json={"kind": kind, "lane": "batch", **whole, name: value})
            taken = answer.status_code == 202 and not ((kind, name) in FREE and value == path)
            if taken or answer.status_code not in (202, 404, 422):
                wrong.append(f"{name} = {value}: {answer.status_code}")
            assert str(server.studio.settings.library_folder()) not in answer.text
    assert not wrong, "\n".join(wrong)


def test_files_of_a_job_are_served_by_name_alone(server: Server) -> None:
    client = server.client()
    job = posted(client, RAIN)
    place = f"/api/jobs/{job['id']}/files"
    assert client.get(place).json() == {"files": []}
    folder = server.studio.job_folder(job["id"])
    folder.mkdir(parents=True)
    (folder / "scored.mp4").write_bytes(bytes(range(256)))
    (folder / "notes.html").write_text("<script>alert(1)</script>")
    (folder / ".part").write_text("half")
    (folder / "link.txt").symlink_to("/etc/hostname")
    (folder / "inner").mkdir()
    assert [(file["name"], file["bytes"]) for file in client.get(place).json()["files"]] == [
        ("notes.html", 25),
        ("scored.mp4", 256),
    ]
    whole = client.get(f"{place}/scored.mp4")
    assert whole.content == bytes(range(256))
    assert whole.headers["content-type"] == "video/mp4"
    part = client.get(f"{place}/scored.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert client.get(f"{place}/scored.mp4", headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    page = client.get(f"{place}/notes.html")
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"].startswith("attachment")
    for name in (".part", "link.txt", "inner", "%2e%2e%2f%2e%2e%2fsotto.db", "..%2fsotto.db", "%00", "missing"):
        answer = client.get(f"{place}/{name}")
        assert answer.status_code == 404, (name, answer.text)
        error_of(answer)


class Reader:
    """What a stream of events said: (id, event, data), and the comments."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.comments = 0

    def read(self, client: httpx.Client, url: str, **headers: str) -> Reader:
        with client.stream("GET", url, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told: dict[str, str] = {}
            for line in answer.iter_lines():
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    told[name] = value
                elif "data" in told:
                    self.events.append((int(told["id"]), told["event"], json.loads(told["data"])))
                    told = {}
        return self


def worked(server: Server, job: str) -> None:
    """Do what a worker does, slowly enough to be watched."""
    queue = server.studio.queue
    taken = queue.begin(job, "test")
    assert taken is not None
    for percent in (25.0, 50.0):
        time.sleep(0.3)
        queue.progress(taken, Progress("render", percent))
    time.sleep(0.3)
    queue.finish(taken, {"report": {}})


def test_events_are_told_as_they_happen_to_the_end(server: Server) -> None:
    client = server.client()
    job = posted(client, RAIN)
    other = posted(client, RAIN)
    worker = threading.Timer(0.5, worked, (server, job["id"]))
    worker.start()
    heard = Reader().read(client, f"{job['links']['events']}").events
    worker.join()
    assert [kind for _, kind, _ in heard] == ["queued", "running", "progress", "progress", "done"]
    assert [data["percent"] for _, kind, data in heard if kind == "progress"] == [25.0, 50.0]
    assert {data["job"] for *_, data in heard} == {job["id"]}
    seqs = [seq for seq, *_ in heard]
    assert seqs == sorted(set(seqs))
    rest = Reader().read(client, job["links"]["events"], **{"Last-Event-ID": str(seqs[2])}).events
    assert rest == heard[3:]
    end = client.get(job["links"]["events"], headers={"Last-Event-ID": str(seqs[-1])})
    assert end.status_code == 204
    assert client.delete(f"/api/jobs/{other['id']}").is_success
    assert [kind for _, kind, _ in Reader().read(client, other["links"]["events"]).events] == ["queued", "cancelled"]


def test_many_listeners_hear_the_same(server: Server) -> None:
    job = posted(server.client(), RAIN)
    readers = [Reader() for _ in range(4)]
    threads = [
        threading.Thread(target=reader.read, args=(server.client(), job["links"]["events"])) for reader in readers
    ]
    for thread in threads:
        thread.start()
    worked(server, job["id"])
    for thread in threads:
        thread.join()
    assert len(readers[0].events) == 5
    assert all(reader.events == readers[0].events for reader in readers)


def test_a_failure_is_told_with_its_cure(server: Server) -> None:
    client = server.client()
    job = posted(client, RAIN)
    taken = server.studio.queue.begin(job["id"], "test")
    assert taken is not None
    server.studio.queue.fail(taken, ModelInferenceFailed("it broke"))
    last = Reader().read(client, job["links"]["events"]).events[-1]
    assert last[1] == "failed"
    assert last[2]["error"]["code"] == "MODEL_INFERENCE_FAILED"


def test_a_quiet_stream_is_kept_alive(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.server.events.COMMENT_SECONDS", 0.2)
    client = server.client()
    job = posted(client, RAIN)
    threading.Timer(1.0, lambda: server.studio.queue.cancel(job["id"])).start()
    reader = Reader().read(client, job["links"]["events"])
    assert reader.comments >= 2
    assert reader.events[-1][1] == "cancelled"


def test_only_so_many_streams_are_open(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.server.events.MOST_LISTENERS", 1)
    client = server.client()
    job = posted(client, RAIN)
    with client.stream("GET", job["links"]["events"]) as first:
        # Kept: what reads a stream closes it when it is dropped.
        pieces = first.iter_raw()
        assert next(pieces)

        def refused() -> bool:
            with client.stream("GET", job["links"]["events"]) as second:
                return second.status_code == 429

        until(refused)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", str(2**64)])
def test_a_wrong_place_in_a_stream_is_refused(server: Server, last: str) -> None:
    job = posted(server.client(), RAIN)
    answer = server.client().get(job["links"]["events"], headers={"Last-Event-ID": last})
    assert error_of(answer)["code"] == "INVALID_PARAMETER"


def test_a_listener_that_leaves_is_forgotten(start: Start) -> None:
    server = start()
    job = posted(server.client(), RAIN)
    for _ in range(3):
        with server.client().stream("GET", job["links"]["events"]) as answer:
            next(answer.iter_raw())
    assert server.client().get("/health").status_code == 200
