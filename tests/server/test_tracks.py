"""Tracks over HTTP: found, heard in whole and in parts, changed, taken along."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import av
import httpx
import pytest
from tests.server.conftest import AddTrack, Server, error_of, wav


def test_tracks_are_found_and_shown_by_addresses_not_paths(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    night, day = add_track(server.studio, "Night rain"), add_track(server.studio, "Day", hertz=550)
    server.studio.library.rate(day.id, 4)
    server.studio.library.tag(day.id, "calm", "late")

    def found(**query: Any) -> list[str]:
        answer = client.get("/api/tracks", params=query)
        assert answer.status_code == 200, answer.text
        assert str(server.studio.library.folder) not in answer.text
        return [track["title"] for track in answer.json()["tracks"]]

    assert found() == ["Day", "Night rain"]
    assert found(q="rai") == ["Night rain"]
    assert found(tag=["calm", "late"]) == found(min_rating=3) == ["Day"]
    assert found(tag=["calm", "never"]) == found(engine="none") == []
    assert found(sort="oldest", limit=1) == ["Night rain"]
    after = client.get("/api/tracks", params={"limit": 1}).json()["after"]
    assert found(limit=1, after=after) == ["Night rain"]
    shown = client.get(f"/api/tracks/{night.id}").json()["track"]
    assert shown["audio"] == f"/api/tracks/{night.id}/audio"
    assert shown["stems"] == ["bass", "drums"]
    for name in ("audio", "midi", "recipe"):
        assert client.get(shown[name]).status_code == 200


@pytest.mark.parametrize(
    "query", [{"sort": "random"}, {"limit": 501}, {"min_rating": 6}, {"after": "x"}, {"path": "/"}, {"tag": ["a,b"]}]
)
def test_wrong_questions_are_refused(server: Server, query: dict[str, Any]) -> None:
    answer = server.client().get("/api/tracks", params=query)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER")


@pytest.mark.parametrize("name", ["gone", "..", "%2e%2e%2fsotto.db", "%00", "a" * 3000, "'", "%F0%9F%8E%B5", "%ff"])
@pytest.mark.parametrize("tail", ["", "/audio", "/recipe", "/midi", "/stems", "/stems/drums", "/stems.zip"])
def test_an_unknown_track_is_not_found(server: Server, name: str, tail: str) -> None:
    answer = server.client().get(f"/api/tracks/{name}{tail}")
    assert answer.status_code == 404
    error_of(answer)


def test_the_sound_comes_whole_in_parts_or_not_again(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio, 'Night / "rain" é')
    url, data = f"/api/tracks/{track.id}/audio", track.audio.read_bytes()
    whole = client.get(url)
    assert whole.content == data
    assert whole.headers["content-type"] == "audio/flac"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["etag"] == f'"{track.sha256}"'
    assert "utf-8''Night%20rain%20%C3%A9.flac" in whole.headers["content-disposition"]
    for said, expected in (("bytes=0-9", data[:10]), ("bytes=100-", data[100:]), ("bytes=-5", data[-5:])):
        part = client.get(url, headers={"Range": said})
        assert (part.status_code, part.content) == (206, expected)
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).content == data
    assert client.get(url, headers={"If-None-Match": f'W/"{track.sha256}", "x"'}).status_code == 304
    beyond = client.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, error_of(beyond)["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    assert client.get(url, headers={"Range": "lines=1-2"}).status_code in (200, 400)


@pytest.mark.parametrize(("form", "kind"), [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("m4a", "audio/mp4")])
def test_the_sound_comes_in_other_formats(server: Server, add_track: AddTrack, form: str, kind: str) -> None:
    client, track = server.client(), add_track(server.studio)
    answer = client.get(f"/api/tracks/{track.id}/audio", params={"format": form})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind
    with av.open(io.BytesIO(answer.content)) as container:
        assert container.metadata.get("title") == "Night" or form == "wav"
    again = client.get(f"/api/tracks/{track.id}/audio", params={"format": form})
    assert (again.content, again.headers["etag"]) == (answer.content, answer.headers["etag"])
    server.studio.library.rename(track.id, "Day")
    assert (
        client.get(f"/api/tracks/{track.id}/audio", params={"format": form}).headers["etag"] != answer.headers["etag"]
    )


def test_its_own_format_is_the_file_itself(server: Server, add_track: AddTrack) -> None:
    track = add_track(server.studio)
    answer = server.client().get(f"/api/tracks/{track.id}/audio", params={"format": "flac"})
    assert answer.content == track.audio.read_bytes()


@pytest.mark.parametrize(("form", "status"), [("exe", 400), ("../x", 422), ("", 422), ("a" * 9, 422)])
def test_formats_there_are_not_are_refused(server: Server, add_track: AddTrack, form: str, status: int) -> None:
    track = add_track(server.studio)
    assert server.client().get(f"/api/tracks/{track.id}/audio", params={"format": form}).status_code == status


def test_stems_come_one_by_one_or_as_a_zip(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio)
    told = client.get(f"/api/tracks/{track.id}/stems").json()
    assert [stem["name"] for stem in told["stems"]] == ["bass", "drums"]
    parts = server.studio.library.stems(track.id)
    for stem in told["stems"]:
        assert client.get(stem["url"]).content == parts[stem["name"]].read_bytes()
    answer = client.get(told["zip"])
    assert answer.headers["content-type"] == "application/zip"
    assert "Night_stems.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["Night/Night.sotto.json", "Night/bass.flac", "Night/drums.flac"]
    for missing in ("stems/vocals", "stems/..%2fdrums", "stems.zip?engine=none", "stems/drums?engine=none"):
        assert error_of(client.get(f"/api/tracks/{track.id}/{missing}"))["code"] in ("STEM_NOT_FOUND", "NOT_FOUND")


def test_what_a_track_lacks_is_not_found(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio, bare=True)
    for part in ("recipe", "midi", "stems.zip"):
        answer = client.get(f"/api/tracks/{track.id}/{part}")
        assert answer.status_code == 404
        assert track.id in error_of(answer)["message"]


def test_the_recipe_is_the_one_that_is_kept(server: Server, add_track: AddTrack) -> None:
    track = add_track(server.studio)
    answer = server.client().get(f"/api/tracks/{track.id}/recipe")
    assert track.recipe_json is not None
    assert answer.json() == json.loads(track.recipe_json)


def test_title_rating_and_tags_are_changed(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio)
    url = f"/api/tracks/{track.id}"

    def change(**fields: Any) -> dict[str, Any]:
        answer = client.patch(url, json=fields)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()["track"]
        return shown

    assert change(title=" Day ", rating=4, tags=["Late", "calm"])["title"] == "Day"
    shown = change(tags=["calm", "new"])
    assert (shown["title"], shown["rating"], shown["tags"]) == ("Day", 4, ["calm", "new"])
    assert change(rating=None)["rating"] is None
    assert change(tags=[])["tags"] == []
    assert change()["title"] == "Day"


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"rating": 6},
        {"rating": "5 stars"},
        {"tags": ["a,b"]},
        {"tags": "a"},
        {"audio": "/x"},
        {"id": "x"},
    ],
)
def test_a_wrong_change_changes_nothing(server: Server, add_track: AddTrack, fields: dict[str, Any]) -> None:
    track = add_track(server.studio)
    answer = server.client().patch(f"/api/tracks/{track.id}", json={"title": "Other", **fields})
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER")
    assert server.studio.library.get(track.id) == track


def test_a_deleted_track_is_gone_and_can_be_restored(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio)
    url = f"/api/tracks/{track.id}"
    assert client.delete(url).status_code == 204
    assert client.get("/api/tracks").json()["tracks"] == client.get("/api/tracks?q=night").json()["tracks"] == []
    for tail in ("", "/audio", "/peaks", "/spectrogram", "/sections", "/stems", "/stems.zip"):
        error = error_of(client.get(url + tail))
        assert (error["code"], f"{url}/restore" in error["hint"]) == ("TRACK_NOT_FOUND", True)
    assert client.delete(url).status_code == client.patch(url, json={"rating": 3}).status_code == 404
    shown = client.post(f"{url}/restore").json()["track"]
    assert shown == client.get(url).json()["track"] == client.get("/api/tracks").json()["tracks"][0]
    assert client.get(shown["audio"]).content == track.audio.read_bytes()
    client.delete(url)
    server.studio.library.empty_trash(kept_seconds=0)
    assert not track.audio.exists()
    assert error_of(client.post(f"{url}/restore"))["code"] == "TRACK_NOT_FOUND"


def exported(client: httpx.Client, **query: Any) -> dict[str, bytes]:
    answer = client.get("/api/tracks/export", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "tracks.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_several_tracks_come_as_one_zip(server: Server, add_track: AddTrack) -> None:
    client = server.client()
    night, other = add_track(server.studio), add_track(server.studio, "NIGHT", hertz=550, bare=True)
    files = exported(client, ids=[f"{night.id},{other.id}", night.id])
    assert sorted(files) == ["NIGHT 2.flac", "Night.flac", "Night.mid", "Night.sotto.json"]
    assert files["Night.flac"] == night.audio.read_bytes()
    assert files["NIGHT 2.flac"] == other.audio.read_bytes()
    assert files["Night.mid"] == b"MThd notes"
    assert files["Night.sotto.json"].decode() == night.recipe_json
    compressed = exported(client, ids=other.id, format="mp3")
    assert list(compressed) == ["NIGHT.mp3"]
    assert compressed["NIGHT.mp3"] == client.get(f"/api/tracks/{other.id}/audio?format=mp3").content


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "INVALID_PARAMETER"),
        ({"ids": ","}, 422, "INVALID_PARAMETER"),
        ({"ids": ",".join(map(str, range(101)))}, 422, "INVALID_PARAMETER"),
        ({"ids": ["{track}", "gone"]}, 404, "TRACK_NOT_FOUND"),
        ({"ids": "{track}", "format": "exe"}, 400, "UNSUPPORTED_FORMAT"),
        ({"ids": "{track}", "format": "../x"}, 422, "INVALID_PARAMETER"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_the_first_byte(
    server: Server, add_track: AddTrack, query: dict[str, Any], status: int, code: str
) -> None:
    track = add_track(server.studio, bare=True).id
    told = {
        name: [one.format(track=track) for one in ([value] if isinstance(value, str) else value)]
        for name, value in query.items()
    }
    answer = server.client().get("/api/tracks/export", params=told)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


def test_a_track_whose_file_is_lost_is_not_exported(server: Server, add_track: AddTrack) -> None:
    track = add_track(server.studio, bare=True)
    track.audio.unlink()
    answer = server.client().get("/api/tracks/export", params={"ids": track.id})
    assert error_of(answer)["code"] == "INPUT_UNREADABLE"
    assert str(server.studio.library.folder) not in answer.text


def sent(client: httpx.Client, name: str, data: bytes) -> str:
    made: str = client.post("/api/uploads", files={"file": (name, data)}).json()["id"]
    return made


def test_an_upload_becomes_a_track(server: Server) -> None:
    client = server.client()
    upload = sent(client, "rain.wav", wav(2))
    answer = client.post("/api/tracks", json={"upload": upload})
    assert answer.status_code == 201, answer.text
    track = answer.json()["track"]
    assert (track["title"], track["kind"], track["seconds"], track["rate"], track["channels"]) == (
        "rain",
        "import",
        2.0,
        8000,
        1,
    )
    assert track["lufs"] is not None
    assert answer.headers["location"] == track["links"]["self"]
    sound = client.get(track["audio"])
    assert sound.content == wav(2)
    assert sound.headers["content-type"] == "audio/wav"
    assert client.get(track["links"]["peaks"], params={"points": 10}).json()["points"] == 10
    assert client.get(track["audio"], params={"format": "mp3"}).headers["content-type"] == "audio/mpeg"
    assert client.post("/api/tracks", json={"upload": upload}).json()["track"]["id"] == track["id"]
    titled = client.post("/api/tracks", json={"upload": upload, "title": "Rain at night"}).json()["track"]
    assert (titled["id"], titled["title"]) == (track["id"], "Rain at night")
    assert not list((server.studio.library.folder / "scratch").glob("tmp*"))


@pytest.mark.parametrize("upload", ["gone", "../rain", "/etc/passwd", ""])
def test_only_an_upload_becomes_a_track(server: Server, upload: str) -> None:
    answer = server.client().post("/api/tracks", json={"upload": upload})
    assert answer.status_code in (404, 422)
    assert server.studio.library.search().tracks == ()


def test_a_video_or_another_ones_upload_does_not(server: Server, make_video: Any, tmp_path: Any) -> None:
    anna, anna_id = server.user("anna")
    bert, _ = server.user("bert")
    upload = server.upload(anna_id).id
    assert bert.post("/api/tracks", json={"upload": upload}).status_code == 404
    clip = sent(anna, "clip.mp4", make_video(tmp_path / "clip.mp4", 1.0).read_bytes())
    answer = anna.post("/api/tracks", json={"upload": clip})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "UNSUPPORTED_FORMAT")
    assert str(server.studio.library.folder) not in answer.text
