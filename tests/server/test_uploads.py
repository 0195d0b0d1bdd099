"""A file sent over HTTP goes straight to disk, counted on its way, and only in the one form that is taken."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from tests.server.conftest import Server, Start, error_of, until, wav

from sottovoce.library.uploads import KEPT_SECONDS

BOUNDARY = "b0undary"


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """A multipart body of parts: what stands in their Content-Disposition, and their content."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode() + content + b"\r\n"
        for said, content in parts
    )
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def send(client: httpx.Client, body: bytes | Iterator[bytes], kind: str | None = None) -> httpx.Response:
    told = kind or f"multipart/form-data; boundary={BOUNDARY}"
    return client.post("/api/uploads", content=body, headers={"Content-Type": told})


def left(server: Server) -> list[str]:
    return [path.name for path in server.studio.uploads.folder.glob("*")]


def test_a_file_is_received_and_measured(server: Server) -> None:
    data = wav(2)
    answer = server.client().post("/api/uploads", files={"file": ("../rain.wav", data)})
    assert answer.status_code == 201
    told = answer.json()
    assert told.pop("created")
    assert told == {
        "id": told["id"], "name": "rain.wav", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "kind": "audio",
        "seconds": 2.0, "rate": 8000, "channels": 1,
    }  # fmt: skip
    assert server.studio.uploads.path(told["id"]).read_bytes() == data
    assert left(server) == [told["id"]]


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_it_does_not_matter_how_the_body_is_cut(server: Server, size: int) -> None:
    data = wav(0.2)
    body = form(('name="file"; filename="rain.wav"', data))
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    answer = send(server.client(), pieces)
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", None),
        (b"rubbish", None),
        (form(), None),
        (form(('name="music"; filename="rain.wav"', wav(0.1))), None),
        (form(('name="file"', wav(0.1))), None),
        (form(('name="path"', b"/etc/passwd")), None),
        (form(('name="title"', b"x"), ('name="file"; filename="rain.wav"', wav(0.1))), None),
        (form(('name="file"; filename="rain.wav"', wav(0.1)), ('name="more"', b"x")), None),
        (form(('name="file"; filename="rain.wav"', wav(0.1)), end=False), None),
        (form(('x="' + "y" * 9000 + '"; name="file"; filename="rain.wav"', wav(0.1))), None),
        (wav(0.1), "audio/wav"),
        (form(('name="file"; filename="rain.wav"', wav(0.1))), "multipart/form-data"),
        (b'{"path": "/etc/passwd"}', "application/json"),
    ],
)
def test_a_body_of_another_form_is_refused(server: Server, body: bytes, kind: str | None) -> None:
    answer = send(server.client(), body, kind)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER"), answer.text
    assert left(server) == []


def test_what_is_no_media_is_refused(server: Server) -> None:
    answer = server.client().post("/api/uploads", files={"file": ("notes.txt", b"words")})
    assert answer.status_code == 400
    assert "notes.txt" in error_of(answer)["message"]
    assert left(server) == []


def zeros(megabytes: float) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    head, tail = form(('name="file"; filename="zeros"', b"?")).split(b"?")
    yield head
    for _ in range(round(megabytes * 16)):
        yield b"\0" * 62_500
    yield tail


def test_too_large_a_file_is_refused_while_it_arrives(start: Start) -> None:
    server = start(max_upload_mb=1)
    answer = send(server.client(), zeros(1.5))
    assert (answer.status_code, error_of(answer)["code"]) == (413, "FILE_TOO_LARGE")
    assert "1 MB" in error_of(answer)["message"]
    assert left(server) == []


def test_a_body_that_says_itself_that_it_is_too_large_is_not_read(start: Start) -> None:
    server = start(max_upload_mb=1)
    line = HTTPConnection(server.url.removeprefix("http://"))
    line.putrequest("POST", "/api/uploads")
    line.putheader("Content-Length", str(10**12))
    line.endheaders()
    with closing(line), line.getresponse() as answer:
        assert answer.status == 413
        assert json.load(answer)["error"]["code"] == "FILE_TOO_LARGE"


def test_too_long_a_sound_is_refused(start: Start) -> None:
    server = start(max_duration_seconds=1)
    answer = server.client().post("/api/uploads", files={"file": ("rain.wav", wav(2))})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "AUDIO_TOO_LONG")


def test_a_sender_that_breaks_off_leaves_nothing(server: Server) -> None:
    def breaking() -> Iterator[bytes]:
        yield form(('name="file"; filename="rain.wav"', wav(1)), end=False)
        raise RuntimeError("the line broke")

    with pytest.raises(RuntimeError):
        send(server.client(), breaking())
    assert server.client().get("/health").is_success
    assert [name for name in left(server) if not name.endswith(".part")] == []


def test_old_uploads_go_when_the_next_comes_unless_a_job_waits_for_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.client()
    unused, needed = server.upload().id, server.upload().id
    assert client.post("/api/jobs", json={"kind": "mood", "source": {"upload": needed}}).status_code == 202
    monkeypatch.setattr("sottovoce.library.uploads.KEPT_SECONDS", -KEPT_SECONDS)
    fresh = client.post("/api/uploads", files={"file": ("rain.wav", wav(0.1))}).json()["id"]
    assert sorted(left(server)) == sorted([needed, fresh])
    assert unused not in left(server)


def test_a_video_is_received(server: Server, make_video: object, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 1.0)  # type: ignore[operator]
    with clip.open("rb") as file:
        told = server.client().post("/api/uploads", files={"file": ("clip.mp4", file)}).json()
    assert (told["kind"], told["rate"]) == ("video", None)


def test_only_so_many_files_arrive_at_once(server: Server) -> None:
    """A file that stops in the middle holds its place; the ninth is told to come back."""
    go_on, began = threading.Event(), threading.Semaphore(0)

    def halting() -> Iterator[bytes]:
        whole = form(('name="file"; filename="rain.wav"', wav(0.1)))
        yield whole[:200]
        began.release()
        go_on.wait(60)
        yield whole[200:]

    answers: list[int] = []
    senders = [
        threading.Thread(target=lambda: answers.append(send(server.client(), halting()).status_code)) for _ in range(8)
    ]
    for sender in senders:
        sender.start()
    for _ in senders:
        assert began.acquire(timeout=60)
    until(lambda: len(left(server)) == 8)
    ninth = server.client().post("/api/uploads", files={"file": ("rain.wav", wav(0.1))})
    go_on.set()
    for sender in senders:
        sender.join()
    assert (ninth.status_code, error_of(ninth)["code"], ninth.headers["retry-after"]) == (429, "RATE_LIMITED", "5")
    assert answers == [201] * 8
