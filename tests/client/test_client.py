"""The client against a real server: the same jobs, tracks and errors as there, over lines that break off too."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import Line
from tests.server.conftest import AddTrack, Server, Start, until, wav
from tests.servers.loopback import Loopback, serving

import sottovoce
from sottovoce import Client, Progress, errors
from sottovoce.errors import ModelInferenceFailed
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.request import validate

pytestmark = pytest.mark.usefixtures("quick_probe")


def test_a_server_says_that_it_is_there(server: Server) -> None:
    with Client(server.url + "/") as client:
        assert client.health()["version"] == sottovoce.__version__
        assert "generator" in client.engines()


def test_a_job_is_filed_listed_cancelled_and_asked_for_again(server: Server) -> None:
    with Client(server.url) as client:
        job = client.submit("generate", prompt="rain", lane="batch", seed=7, key="A minor")
        assert (job.state, job.lane, job.request["seed"], job.request["key"]) == ("queued", "batch", 7, "A minor")
        assert client.job(job.id) == client.job(job) == job == server.studio.queue.get(job.id)
        assert client.cancel(job).state == "cancelled"
        again = client.retry(job)
        assert [one.id for one in client.jobs()] == [again.id, job.id]
        assert [one.id for one in client.jobs(state="cancelled", kind="generate")] == [job.id]
        assert client.jobs(after=job.id) == ()
        assert client.files(job) == ()


def test_a_request_is_filed_as_it_stands(server: Server) -> None:
    with Client(server.url) as client:
        job = client.submit(validate(Generate, {"prompt": "rain", "duration": 30}), lane="batch")
    assert (job.kind, job.request["prompt"], job.request["duration"]) == ("generate", "rain", 30)


def test_long_lists_come_in_pages(server: Server, monkeypatch: pytest.MonkeyPatch, add_track: AddTrack) -> None:
    monkeypatch.setattr("sottovoce.client.routes.JOBS_PAGE", 2)
    monkeypatch.setattr("sottovoce.client.routes.TRACKS_PAGE", 1)
    ids = [server.job().id for _ in range(5)]
    tracks = {add_track(server.studio, hertz=hertz, bare=True).id for hertz in (300.0, 400.0)}
    with Client(server.url) as client:
        assert [job.id for job in client.jobs()] == ids[::-1]
        assert [job.id for job in client.jobs(limit=3)] == ids[:1:-1]
        assert {track.id for track in client.tracks()} == tracks
        assert len(client.tracks(limit=1)) == 1


def test_a_dropped_connection_files_one_job(server: Server, line: Line) -> None:
    line.cuts.append(0)
    with Client(line.url) as client:
        job = client.submit("generate", prompt="rain", lane="batch")
    assert [one.id for one in server.studio.queue.list()] == [job.id]
    assert len(line.sent) == 2


def test_each_asking_is_a_job_of_its_own_unless_it_has_a_key(server: Server) -> None:
    with Client(server.url) as client:
        first, second = (client.submit("generate", prompt="rain", lane="batch") for _ in range(2))
        third, fourth = (client.submit("generate", prompt="rain", lane="batch", idempotency_key="k") for _ in range(2))
        assert len({first.id, second.id, third.id}) == 3
        assert third.id == fourth.id
        with pytest.raises(errors.IdempotencyMismatch):
            client.submit("generate", prompt="wind", lane="batch", idempotency_key="k")


def test_a_cancel_is_not_sent_twice(server: Server, line: Line) -> None:
    job = server.job()
    line.cuts.append(0)
    with Client(line.url) as client, pytest.raises(errors.RemoteFailed, match="broke off"):
        client.cancel(job.id)
    assert len(line.sent) == 1


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"prompt": ""}, errors.InvalidPrompt),
        ({"prompt": "x", "duration": 1}, errors.InvalidDuration),
        ({"prompt": "x", "colour": 1}, errors.InvalidParameter),
        ({"prompt": "x", "cover": {"path": "/etc/passwd"}}, errors.InvalidParameter),
        ({"prompt": "x", "cover": {"upload": "none"}}, errors.UploadNotFound),
        ({"prompt": "x", "cover": {"track": "none"}}, errors.TrackNotFound),
    ],
)
def test_errors_come_back_as_they_were_raised(
    server: Server, fields: dict[str, Any], kind: type[errors.SottovoceError]
) -> None:
    answer = server.client().post("/api/jobs", json={"kind": "generate", **fields}).json()["error"]
    with Client(server.url) as client, pytest.raises(kind) as caught:
        client.submit("generate", **fields)
    assert type(caught.value) is kind
    assert caught.value.as_dict() == answer


@pytest.mark.parametrize("name", ["none", "..", "a?b#c", ""])
def test_whatever_stands_in_an_id_is_asked_for_and_not_found(server: Server, name: str) -> None:
    with Client(server.url) as client:
        with pytest.raises(errors.JobNotFound):
            client.job(name)
        with pytest.raises(errors.TrackNotFound):
            client.track(name)


def test_the_end_of_a_job_is_waited_for(server: Server) -> None:
    job, queue = server.job(), server.studio.queue

    def work() -> None:
        begun = queue.begin(job.id, "w")
        assert begun is not None
        queue.progress(begun, Progress("render", 40.0, 2, 5, 3.0))
        time.sleep(0.4)
        queue.finish(begun, {"report": {}, "tracks": ["t"]})

    worker = threading.Thread(target=work)
    worker.start()
    told: list[Progress] = []
    with Client(server.url) as client:
        done = client.wait(job.id, progress=told.append)
        kinds = [event.kind for event in client.events(job.id)]
    worker.join()
    assert (done.state, done.result) == ("done", {"report": {}, "tracks": ["t"]})
    assert Progress("render", 40.0, 2, 5, 3.0) in told
    assert kinds == ["queued", "running", "progress", "done"]


def test_what_ends_a_job_is_raised(server: Server) -> None:
    queue, wrong, stopped = server.studio.queue, server.job(), server.job()
    begun = queue.begin(wrong.id, "w")
    assert begun is not None
    queue.fail(begun, ModelInferenceFailed("no sound came", details={"a": 1}))
    queue.cancel(stopped.id)
    with Client(server.url) as client:
        with pytest.raises(ModelInferenceFailed, match="no sound came") as caught:
            client.wait(wrong)
        assert caught.value.hint == ModelInferenceFailed.cure
        assert caught.value.details == {"a": 1}
        with pytest.raises(errors.Cancelled):
            client.wait(stopped)
        with pytest.raises(errors.JobEnded):
            client.cancel(stopped)


def test_waiting_can_be_given_up(server: Server) -> None:
    job = server.job()
    with Client(server.url) as client, pytest.raises(errors.TimedOut, match=r"0\.3 s"):
        client.wait(job, timeout=0.3)
    assert server.studio.queue.get(job.id).state == "queued"


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(server: Server, line: Line) -> None:
    job, queue = server.job(), server.studio.queue
    begun = queue.begin(job.id, "w")
    assert begun is not None
    for percent in range(40):
        queue.progress(begun, Progress("render", percent))
    queue.finish(begun, {})
    wanted = queue.events(job=job.id)
    # The head of an answer alone has some 700 bytes.
    line.cuts.extend([0, 1500, 3001, 50, 2000])
    with Client(line.url) as client:
        assert tuple(client.events(job.id)) == wanted
        assert tuple(client.events(job.id, after=wanted[-2].seq)) == wanted[-1:]
        assert tuple(client.events(job.id, after=wanted[-1].seq)) == ()
    assert b"last-event-id" in line.sent[3].lower()


def test_a_file_is_uploaded_and_named_by_itself(server: Server, tmp_path: Path) -> None:
    song = tmp_path / "käse 1.wav"
    told: list[Progress] = []
    song.write_bytes(wav(60))
    with Client(server.url) as client:
        sent = client.upload(song, progress=told.append)
        job = client.submit("separate", source=sent, preview=1)
    assert sent.sha256 == hashlib.sha256(song.read_bytes()).hexdigest()
    assert (sent.name, sent.seconds, sent.kind) == (song.name, 60, "audio")
    assert job.request["source"] == {"upload": sent.id}
    assert told[-1] == Progress("upload", 100)
    assert [progress.percent for progress in told] == sorted(progress.percent for progress in told)
    assert len(told) > 2


def test_an_upload_that_breaks_off_is_sent_again(server: Server, line: Line, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(wav(2))
    line.cuts.append(0)
    with Client(line.url) as client:
        sent = client.upload(tmp_path / "song.wav", name="other.wav")
    assert (sent.name, sent.sha256) == ("other.wav", hashlib.sha256(wav(2)).hexdigest())


def test_uploads_that_are_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(wav(70))
    (tmp_path / "text.wav").write_bytes(b"words")
    with Client(start(max_upload_mb=1).url) as client:
        with pytest.raises(errors.FileTooLarge):
            client.upload(tmp_path / "song.wav")
        with pytest.raises(errors.InputError):
            client.upload(tmp_path / "text.wav")
        for path in (tmp_path / "none.wav", tmp_path):
            with pytest.raises(errors.InputUnreadable):
                client.upload(path)


def test_tracks_are_found_and_fetched(server: Server, add_track: AddTrack, tmp_path: Path) -> None:
    made = add_track(server.studio, "Night rain")
    with Client(server.url) as client:
        (track,) = client.tracks("night", engine="tone", tag=[])
        assert client.track(track.id) == track
        assert (track.id, track.created, track.stems) == (made.id, made.created, made.stems)
        assert set(track.as_dict()) - {"recipe"} == set(made.as_dict())
        assert client.recipe(track)["seed"] == 7
        whole = client.download(track, to=tmp_path / "a.flac")
        assert whole.read_bytes() == made.audio.read_bytes()
        assert client.download(track, to=tmp_path / "a.wav", format="wav").read_bytes()[:4] == b"RIFF"
        assert track.midi is not None
        assert client.download(track.midi, to=tmp_path / "a.mid").read_bytes() == b"MThd notes"
        bass, drums = client.stems(track)
        assert (bass.name, drums.name) == ("bass", "drums")
        assert client.download(bass, to=tmp_path / "bass.flac").stat().st_size > 0
        assert client.stems(track, engine="tone")[0].url.endswith("?engine=tone")
        assert client.download(client.stems(track, engine="tone")[0], to=tmp_path / "b.flac").exists()
        with pytest.raises(errors.UnsupportedFormat):
            client.download(track, to=tmp_path / "x.xyz", format="xyz")
        with pytest.raises(errors.StemNotFound):
            client.download(f"/api/tracks/{track.id}/stems/piano", to=tmp_path / "x.flac")
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part")) + list(tmp_path.glob("x.*"))


def test_a_download_that_breaks_off_is_gone_on_with(server: Server, line: Line, tmp_path: Path) -> None:
    folder, data = server.studio.job_folder(server.job().id), bytes(range(256)) * 4000
    folder.mkdir(parents=True)
    (folder / "out.mp4").write_bytes(data)
    line.cuts.extend([None, 300_000, 300_000, 0])
    told: list[Progress] = []
    with Client(line.url) as client:
        (file,) = client.files(folder.name)
    with Client(line.url) as client:
        client.download(file, to=tmp_path / "out.mp4", progress=told.append)
    assert file.bytes == len(data)
    assert (tmp_path / "out.mp4").read_bytes() == data
    assert told[-1] == Progress("download", 100)
    assert [b"range: bytes=" in request.lower() for request in line.sent] == [False, False, True, True, True]
    assert all(b"if-range" in request.lower() for request in line.sent[2:])


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, line: Line, tmp_path: Path) -> None:
    folder, old, new = server.studio.job_folder(server.job().id), b"a" * 500_000, b"b" * 400_000
    folder.mkdir(parents=True)
    (folder / "out.mp4").write_bytes(old)
    line.cuts.append(100_000)

    def change(progress: Progress) -> None:
        if (folder / "out.mp4").read_bytes() != new:
            (folder / "out.mp4").write_bytes(new)

    with Client(line.url) as client:
        client.download(f"/api/jobs/{folder.name}/files/out.mp4", to=tmp_path / "out.mp4", progress=change)
    assert (tmp_path / "out.mp4").read_bytes() == new


def test_nothing_half_fetched_is_left(server: Server, line: Line, tmp_path: Path, add_track: AddTrack) -> None:
    track = add_track(server.studio)
    (tmp_path / "there.flac").write_bytes(b"mine")
    line.cuts.extend([0] * 10)
    with Client(line.url) as client, pytest.raises(errors.RemoteFailed, match="broke off"):
        client.download(f"/api/tracks/{track.id}/audio", to=tmp_path / "there.flac")
    assert (tmp_path / "there.flac").read_bytes() == b"mine"
    with Client(server.url) as client, pytest.raises(errors.OutputNotWritable):
        client.download(f"/api/tracks/{track.id}/audio", to=tmp_path / "none" / "a.flac")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("place", ["http://elsewhere/api/x", "//elsewhere/api/x", "/login", ""])
def test_only_the_servers_own_addresses_are_fetched(server: Server, tmp_path: Path, place: str) -> None:
    with Client(server.url) as client, pytest.raises(errors.InvalidParameter):
        client.download(place, to=tmp_path / "x")


def test_a_token_lets_its_owner_in(server: Server) -> None:
    secret = server.token("anna")
    with Client(server.url, f" {secret}\n") as client:
        assert client.jobs() == ()
    for wrong in (None, "sotto_wrong"):
        with Client(server.url, wrong) as client:
            assert client.health()["status"] == "ok"
            with pytest.raises(errors.Unauthorized):
                client.jobs()


@pytest.mark.parametrize("token", ["a b", "a\nb", "tökén"])
def test_a_token_that_can_be_none_is_refused(token: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="token"):
        Client("http://localhost:1", token)


@pytest.mark.parametrize(
    "url", ["", "localhost:8420", "ftp://localhost", "http://", "http://me:pw@localhost", "http://a?b=c", "http://a:b"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="address"):
        Client(url)


def test_a_server_that_is_not_there() -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(errors.RemoteFailed, match=r"no server answers at http://127\.0\.0\.1:9") as caught,
    ):
        client.health()
    assert "sotto serve" in caught.value.hint


class Foreign(Loopback):
    """A server of another kind; what was asked of it, with the token that came along."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        type(self).asked.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/api/tracks"):
            self.say(307, b"", Location=f"http://localhost:{self.server.server_port}/elsewhere")  # type: ignore[attr-defined]
        elif self.path.startswith("/api/engines"):
            self.say(502, b"<h1>Bad gateway</h1>")
        elif self.path.startswith("/api/jobs/busy") and len(type(self).asked) < 3:
            self.say(429, b'{"error":{"code":"RATE_LIMITED","message":"m","hint":"h","details":{}}}', Retry_After="0")
        elif self.path.startswith("/api/jobs/away"):
            self.say(429, b'{"error":{"code":"RATE_LIMITED","message":"m","hint":"h","details":{}}}', Retry_After="999")
        elif self.path.startswith("/api/jobs/new"):
            self.say(404, b'{"error":{"code":"NOT_FOUND","message":"nothing there","hint":"h","details":{}}}')
        else:
            self.say(200, b'{"data": {"service": "ace-step"}, "job": {"id": 3}}')

    def do_POST(self) -> None:  # noqa: N802
        self.body()
        type(self).asked.append((self.path, None))
        self.say(429, b'{"error":{"code":"QUEUE_FULL","message":"m","hint":"h","details":{}}}', Retry_After="0")


def test_servers_of_another_kind() -> None:
    Foreign.asked = []
    with serving(Foreign) as port, Client(f"http://127.0.0.1:{port}", "secret") as client:
        for call, says in (
            (client.health, "not what this version understands"),
            (client.tracks, "elsewhere, which is not followed"),
            (client.engines, "answers 502"),
            (lambda: client.job("x"), "not what this version understands"),
            (lambda: client.job("new"), "nothing there"),
            (lambda: list(client.events("x")), "no server of this kind"),
        ):
            with pytest.raises(errors.RemoteFailed, match=says) as caught:
                call()
            assert caught.value.hint
    assert Foreign.asked[0] == ("/health", None)
    assert not [path for path, _ in Foreign.asked if "elsewhere" in path]


def test_reading_waits_where_the_server_asks_for_it() -> None:
    Foreign.asked = []
    with serving(Foreign) as port, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(errors.RemoteFailed):
            client.job("busy")
        assert len(Foreign.asked) == 3
        with pytest.raises(errors.RateLimited):
            client.job("away")
        Foreign.asked = []
        with pytest.raises(errors.QueueFull):
            client.submit("generate", prompt="x")
        assert len(Foreign.asked) == 1


def test_an_unfinished_stream_ends_with_its_reader(server: Server) -> None:
    job = server.job()
    with Client(server.url) as client:
        for event in client.events(job):
            assert event.kind == "queued"
            break
        until(lambda: client.cancel(job).state == "cancelled")
