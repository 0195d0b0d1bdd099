"""What draws a track over HTTP: the outline of its sound, its spectrogram, its sections and beats."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest
from tests.server.conftest import AddTrack, Server, error_of, tone

from sottovoce.library.track import NewTrack
from sottovoce.media.encode import encode, format_of


@pytest.mark.parametrize("name", ["gone", "..", "%2e%2e%2fsotto.db", "%00", "a" * 3000, "%ff"])
@pytest.mark.parametrize("tail", ["/peaks", "/spectrogram", "/sections"])
def test_an_unknown_track_is_not_found(server: Server, name: str, tail: str) -> None:
    answer = server.client().get(f"/api/tracks/{name}{tail}")
    assert answer.status_code == 404
    error_of(answer)


@pytest.mark.parametrize("tail", ["/peaks?points=10", "/spectrogram?width=64&height=32", "/sections"])
def test_it_does_not_come_again(server: Server, add_track: AddTrack, tail: str) -> None:
    client, track = server.client(), add_track(server.studio)
    answer = client.get(f"/api/tracks/{track.id}{tail}")
    assert answer.status_code == 200, answer.text
    tag = {"If-None-Match": answer.headers["etag"]}
    again = client.get(f"/api/tracks/{track.id}{tail}", headers=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])


def test_peaks_draw_the_sound(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio)
    told = client.get(f"/api/tracks/{track.id}/peaks", params={"points": 10}).json()
    assert (told["points"], told["seconds"]) == (10, 1.0)
    assert told["peaks"] == pytest.approx([0.05 * step for step in range(1, 11)], abs=0.01)
    assert client.get(f"/api/tracks/{track.id}/peaks").json()["points"] == 1000
    assert client.get(f"/api/tracks/{track.id}/peaks", params={"points": 10**9}).status_code == 422


def test_a_spectrogram_is_a_picture_of_the_size_asked_for(server: Server, add_track: AddTrack) -> None:
    client, track = server.client(), add_track(server.studio)
    url = f"/api/tracks/{track.id}/spectrogram"
    answer = client.get(url, params={"width": 100, "height": 40})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    with av.open(io.BytesIO(answer.content), "r") as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (100, 40)
    assert client.get(url, params={"width": 100, "height": 40}).content == answer.content
    assert client.get(url).headers["etag"] != answer.headers["etag"]
    track.audio.unlink()
    assert client.get(url, params={"width": 100, "height": 40}).content == answer.content, "it was kept"


@pytest.mark.parametrize("size", [{"width": 63}, {"width": 2049}, {"height": 31}, {"height": 1025}, {"width": "x"}])
def test_a_picture_of_another_size_is_refused(server: Server, add_track: AddTrack, size: dict[str, Any]) -> None:
    answer = server.client().get(f"/api/tracks/{add_track(server.studio).id}/spectrogram", params=size)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "INVALID_PARAMETER")


def test_the_sections_of_what_has_no_beat_are_none(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    encode(tone(3.0), path, format_of(path))
    new = NewTrack(title="Tone", kind="generate", audio=path, seconds=3.0, rate=8000, channels=2, engine="tone")
    track = server.studio.library.add(new)
    told = server.client().get(f"/api/tracks/{track.id}/sections").json()
    assert set(told) == {"seconds", "bpm", "key", "time_signature", "sections", "beats", "bars", "measured"}
    assert (told["seconds"], told["sections"], told["measured"]) == (3.0, [], True)
