"""The ACE-Step dialect on the wire: what its clients send is taken, and what they read is there."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.server.conftest import AddTrack, Server, Start, wav

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.progress import Progress

pytestmark = pytest.mark.usefixtures("quick_probe")

WISH = {"caption": "calm piano", "lyrics": "", "duration": 12, "batch_size": 1, "instrumental": True}


def opened(answer: httpx.Response) -> Any:
    """What is in the envelope, whose form is checked by the way."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {"data", "code", "error", "timestamp", "extra"} <= set(body)
    assert (body["code"], body["error"]) == (200, None)
    return body["data"]


def refused(answer: httpx.Response, status: int) -> str:
    """What the dialect says of an error, on its own."""
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert set(answer.json()) == {"detail"}
    assert isinstance(detail, list) is (status == 422)
    return json.dumps(detail)


def asked_after(client: httpx.Client, *tasks: str) -> list[dict[str, Any]]:
    found = opened(client.post("/query_result", json={"task_id_list": list(tasks)}))
    return [{**line, "result": json.loads(line["result"])} for line in found]


def begun(server: Server, task: str) -> Job:
    job = server.studio.queue.begin(task, "worker")
    assert job is not None
    return job


def test_from_the_order_to_the_music(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    answer = client.post("/release_task", json=WISH | {"audio_format": "wav", "bpm": 80, "inference_steps": 30})
    data, task = opened(answer), answer.json()["task_id"]
    assert (data["task_id"], data["status"], data["queue_position"]) == (task, "queued", 1)
    assert any("inference_steps" in note for note in data["notes"])
    assert server.studio.queue.get(task).request["duration"] == 12.0
    (line,) = asked_after(client, task)
    assert (line["status"], line["result"][0]["progress"], line["result"][0]["stage"]) == (0, 0.0, "queued")
    job = begun(server, task)
    server.studio.queue.progress(job, Progress("render", 40.0))
    (line,) = asked_after(client, task)
    item = line["result"][0]
    assert (line["status"], item["status"], item["progress"], item["stage"], item["file"]) == (0, 0, 0.4, "render", "")
    assert "render" in line["progress_text"]
    tracks = [add_track(server.studio, hertz=hertz).id for hertz in (440.0, 550.0)]
    server.studio.queue.finish(job, {"report": {"notes": ["said better"]}, "tracks": tracks, "stems": {}, "files": {}})
    (line,) = asked_after(client, task)
    assert line["status"] == 1
    assert [item["file"] for item in line["result"]] == [f"/v1/audio?path={track}.wav" for track in tracks]
    item = line["result"][0]
    assert (item["stage"], item["progress"], item["seed_value"], item["dit_model"]) == ("succeeded", 1.0, ",", "tone")
    assert (item["prompt"], item["lyrics"], item["wave"], item["status"]) == ("rain", "[Instrumental]", "", 1)
    assert item["metas"]["prompt"] == "calm piano"
    assert (item["metas"]["keyscale"], item["metas"]["timesignature"]) == ("N/A", "N/A")
    for word in ("tone", "1.0 s of music", "inference_steps", "said better"):
        assert word in item["generation_info"]
    heard = client.get(item["file"])
    assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
    assert heard.content[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("opus", "audio/ogg"),
        ("aac", "audio/mp4"),
        ("rubbish", "audio/flac"),
    ],
)
def test_formats(server: Server, add_track: AddTrack, form: str, kind: str) -> None:
    client = server.client()
    task = opened(client.post("/release_task", json=WISH | {"audio_format": form}))["task_id"]
    track = add_track(server.studio).id
    server.studio.queue.finish(begun(server, task), {"report": {}, "tracks": [track], "stems": {}, "files": {}})
    file = asked_after(client, task)[0]["result"][0]["file"]
    answer = client.get(file, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["content-type"], len(answer.content)) == (206, kind, 10)
    assert client.get("/v1/audio", params={"path": file}).status_code == 200


def test_how_a_task_ends_badly(server: Server) -> None:
    client = server.client()
    failing, stopped, deleted = (opened(client.post("/release_task", json=WISH))["task_id"] for _ in range(3))
    server.studio.queue.fail(begun(server, failing), errors.OutOfMemory("8 GB are needed", hint="Take another."))
    server.studio.queue.cancel(stopped)
    gone = {"report": {}, "tracks": ["0123456789abcdef"], "stems": {}, "files": {}}
    server.studio.queue.finish(begun(server, deleted), gone)
    lines = asked_after(client, failing, stopped, deleted)
    assert [line["status"] for line in lines] == [2, 2, 1]
    assert lines[0]["result"][0]["error"] == "8 GB are needed. Take another."
    assert (lines[0]["result"][0]["stage"], lines[1]["result"][0]["error"]) == ("failed", "cancelled")
    assert (lines[2]["result"][0]["file"], "deleted" in lines[2]["result"][0]["error"]) == ("", True)


@pytest.mark.parametrize("tasks", ["[]", "rubbish", None, [], "{}", 7])
def test_asking_after_nothing(server: Server, tasks: Any) -> None:
    assert opened(server.client().post("/query_result", json={"task_id_list": tasks})) == []


def test_ids_of_nobody_and_of_others_are_said_to_wait(server: Server) -> None:
    anna, anna_id = server.user("anna")
    bert, _ = server.user("bert")
    task = opened(anna.post("/release_task", json=WISH))["task_id"]
    assert server.studio.queue.get(task).owner == anna_id
    waits = {"status": 0, "result": []}
    odd = ["nobody", "../x", "", "ü\x00"]
    assert asked_after(bert, *odd, task) == [{"task_id": name, **waits} for name in (*odd, task)]
    assert asked_after(anna, task)[0]["result"] != []
    assert asked_after(anna, server.job(anna_id).id)[0]["progress_text"].startswith("queued")


@pytest.mark.parametrize("sent", ["json", "form", "typeless json", "typeless form", "multipart"])
def test_every_kind_of_body(server: Server, sent: str) -> None:
    client, text = server.client(), json.dumps(WISH)
    bodies: dict[str, dict[str, Any]] = {
        "json": {"content": text, "headers": {"Content-Type": "application/problem+json"}},
        "form": {"data": {"prompt": "calm piano", "duration": "12", "param_obj": '{"batch_size": 1}'}},
        "typeless json": {"content": text},
        "typeless form": {"content": "caption=calm+piano&duration=12&batch_size=1"},
        "multipart": {"files": {"caption": (None, "calm piano"), "duration": (None, "12"), "batch_size": (None, "1")}},
    }
    task = opened(client.post("/release_task", **bodies[sent]))["task_id"]
    request = server.studio.queue.get(task).request
    assert (request["prompt"], request["duration"], request["versions"]) == ("calm piano", 12.0, 1)
    listed = {"task_id_list": json.dumps([task])}
    assert opened(client.post("/query_result", data=listed))[0]["task_id"] == task


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"hello", "text/plain", 415),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"prompt": "\\ud800"}', "application/json", 422),
        (b'{"prompt": ""}', "application/json", 422),
        (b'{"prompt": "x", "duration": 3000}', "application/json", 422),
        (b'{"prompt": "x", "src_audio_path": "/etc/passwd", "task_type": "cover"}', "application/json", 400),
        (b'{"prompt": "x", "full_analysis_only": true}', "application/json", 422),
        (b'{"prompt": "x", "task_type": "lego"}', "application/json", 422),
        (b"x" * (2 << 20), "application/json", 413),
        (b"--b\r\n", "multipart/form-data; boundary=b", 422),
        (b"rubbish", "multipart/form-data; boundary=b", 422),
        (b"rubbish", "multipart/form-data", 422),
    ],
)
def test_what_is_refused_is_told_in_its_shape(server: Server, body: bytes, kind: str, status: int) -> None:
    refused(server.client().post("/release_task", content=body, headers={"Content-Type": kind}), status)
    assert server.studio.queue.list() == ()


def test_music_that_is_sent_along(server: Server) -> None:
    client, owner = server.user("anna")
    fields = {"prompt": "brass band", "task_type": "cover", "src_audio_path": "/ignored/since/a/file/came"}
    sent = {"src_audio": ("../song.wav", wav(1.0)), "reference_audio": ("like.wav", wav(2.0)), "other": ("x", b"x")}
    task = opened(client.post("/release_task", data=fields, files=sent))["task_id"]
    upload = server.studio.uploads.get(server.studio.queue.get(task).request["cover"]["upload"])
    assert (upload.owner, upload.name, upload.seconds) == (owner, "song.wav", 1.0)
    assert len(list(server.studio.uploads.folder.iterdir())) == 2


def test_a_file_that_is_no_music_is_refused(server: Server) -> None:
    answer = server.client().post(
        "/release_task", data={"prompt": "x", "task_type": "cover"}, files={"ctx_audio": ("song.wav", b"no music")}
    )
    refused(answer, 400)
    assert not list(server.studio.uploads.folder.iterdir())


def test_the_token_may_come_in_the_body(server: Server) -> None:
    secret = server.token("anna")
    client = server.client()
    refused(client.post("/release_task", json=WISH), 401)
    refused(client.post("/release_task", json=WISH | {"ai_token": "sotto_wrong"}), 401)
    refused(server.client(secret).post("/release_task", json=WISH | {"ai_token": "sotto_wrong"}), 401)
    task = opened(client.post("/release_task", json=WISH | {"ai_token": secret}))["task_id"]
    listed = {"task_id_list": [task], "ai_token": secret}
    assert json.loads(opened(client.post("/query_result", json=listed))[0]["result"])
    for route in ("/query_result", "/format_input", "/create_random_sample"):
        refused(client.post(route, json={"prompt": "x"}), 401)


def test_nobody_unknown_leaves_files(server: Server) -> None:
    """With a token in the body alone a form must have it before its files, and be short."""
    secret = server.token("anna")
    client, sent = server.client(), {"src_audio": ("song.wav", wav(1.0))}
    fields = {"prompt": "x", "task_type": "cover"}
    refused(client.post("/release_task", data=fields, files=sent), 401)
    long = {"src_audio": ("song.wav", wav(90.0))}
    refused(client.post("/release_task", data=fields | {"ai_token": secret}, files=long), 413)
    assert not server.studio.uploads.folder.exists() or not list(server.studio.uploads.folder.iterdir())
    opened(client.post("/release_task", data=fields | {"ai_token": secret}, files=sent))
    opened(server.client(secret).post("/release_task", data=fields, files=long))


def test_so_many_may_wait_and_polling_is_never_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.server.dialects.ace_step.MOST_WAITING", 2)
    server = start(rate_per_minute=1, heavy_per_minute=1)
    client = server.client()
    tasks = [opened(client.post("/release_task", json=WISH))["task_id"] for _ in range(2)]
    answer = client.post("/release_task", json=WISH)
    refused(answer, 429)
    assert int(answer.headers["retry-after"]) > 0
    for _ in range(30):
        assert len(asked_after(client, *tasks)) == 2


def test_a_prompt_is_said_better_by_tables_where_there_is_no_llm(server: Server) -> None:
    client = server.client()
    wish = {
        "prompt": "calm piano",
        "param_obj": json.dumps({"bpm": 70, "key": "A minor", "time_signature": "3", "duration": 30}),
    }
    said = opened(client.post("/format_input", json=wish))
    assert said == opened(client.post("/format_input", json=wish))
    assert said["caption"].startswith("calm piano, ")
    exact = {"bpm": 70, "key_scale": "A minor", "time_signature": "3", "duration": 30.0, "lyrics": "[Instrumental]"}
    assert exact.items() <= said.items()
    assert said["engine"] == "expander"
    assert any("no LLM was used" in note for note in said["notes"])
    empty = client.post("/format_input", json={})
    assert (empty.status_code, empty.json()["code"], empty.json()["data"]) == (200, 400, None)


def test_samples_are_drawn_by_their_seed(server: Server) -> None:
    client = server.client()
    simple = opened(client.post("/create_random_sample", json={"seed": 4}))
    assert {"description", "instrumental", "vocal_language"} <= set(simple)
    wish = {"sample_type": "custom", "seed": 4}
    full = opened(client.post("/create_random_sample", json=wish))
    assert full == opened(client.post("/create_random_sample", json=wish))
    assert {"think", "caption", "lyrics", "bpm", "duration", "keyscale", "language", "timesignature"} <= set(full)
    assert full["caption"].startswith(simple["description"])
    drawn = opened(client.post("/create_random_sample", json={}))
    assert opened(client.post("/create_random_sample", json={"seed": drawn["seed"]})) == drawn


def test_models_in_both_lists(server: Server) -> None:
    client = server.client()
    listed, kept = client.get("/v1/models").json(), opened(client.get("/v1/model_inventory"))
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == [f"acestep/{model['name']}" for model in kept["models"]]
    assert kept["default_model"] == kept["models"][0]["name"]
    assert "composer" in [model["name"] for model in kept["models"]]


def test_figures(server: Server) -> None:
    client = server.client()
    before = opened(client.get("/v1/stats"))
    assert before == {
        "jobs": {"total": 0, "queued": 0, "running": 0, "succeeded": 0, "failed": 0},
        "queue_size": 0, "queue_maxsize": 200, "avg_job_seconds": 5.0,
    }  # fmt: skip
    tasks = [opened(client.post("/release_task", json=WISH))["task_id"] for _ in range(3)]
    server.studio.queue.cancel(tasks[0])
    server.studio.queue.finish(begun(server, tasks[1]), {"report": {}, "tracks": [], "stems": {}, "files": {}})
    after = opened(client.get("/v1/stats"))
    assert after["jobs"] == {"total": 3, "queued": 1, "running": 0, "succeeded": 1, "failed": 1}
    assert 0 <= after["avg_job_seconds"] < 5


def test_audio_is_asked_for_by_name_and_never_by_place(server: Server) -> None:
    client = server.client()
    refused(client.get("/v1/audio"), 422)
    refused(client.get("/v1/audio", params={"path": "/etc/passwd"}), 403)
    refused(client.get("/v1/audio", params={"path": "../0123456789abcdef.mp3"}), 403)
    refused(client.get("/v1/audio", params={"path": "0123456789abcdef.mp3"}), 404)
