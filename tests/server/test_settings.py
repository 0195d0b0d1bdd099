"""Callers set values for their own requests: checked, acting, and never those of others or of the machine."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.conftest import AddTrack, Server, error_of

from sottovoce.settings.owned import SECRETS, owned_rows

RAIN = {"kind": "generate", "prompt": "rain", "lane": "batch"}


def test_values_are_shown_with_their_range_and_whose_they_are(server: Server) -> None:
    client = server.client()
    before = client.get("/api/settings").json()
    assert before["settings"]["audio.ducking_ratio"]["value"] == 6.0
    assert not any(row["yours"] for row in before["settings"].values())
    after = client.patch("/api/settings", json={"audio.ducking_ratio": 3, "engines.separators": ["classical"]}).json()
    assert after["settings"]["audio.ducking_ratio"] | {"meaning": "", "range": ""} == {
        "value": 3.0, "yours": True, "range": "", "meaning": "",
    }  # fmt: skip
    assert after["settings"]["engines.separators"]["value"] == ["classical"]
    again = client.patch("/api/settings", json={"audio.ducking_ratio": None}).json()
    assert again["settings"]["audio.ducking_ratio"] == before["settings"]["audio.ducking_ratio"]


def test_they_fill_the_owners_requests_and_no_others(server: Server, add_track: AddTrack) -> None:
    anna, _ = server.user("anna")
    bert, _ = server.user("bert")
    track = add_track(server.studio).id
    anna.patch("/api/settings", json={"library.loudness_lufs": -20, "audio.ducking_ratio": 2})
    score = {"kind": "score", "source": {"track": track}, "lane": "batch"}
    ratios = [client.post("/api/jobs", json=score).json()["job"]["request"]["ducking_ratio"] for client in (anna, bert)]
    assert ratios == [2, 6]
    ours, theirs = (client.post("/api/jobs", json=RAIN).json()["job"]["request"] for client in (anna, bert))
    assert ours["loudness"] == -20
    assert "loudness" not in theirs
    said = anna.post("/api/jobs", json=RAIN | {"loudness": -14}).json()["job"]["request"]
    assert said["loudness"] == -14


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ({"audio.ducking_ratio": 99}, "ducking_ratio"),
        ({"audio.ducking_ratio": "loud"}, "ducking_ratio"),
        ({"audio.ducking_ratio": 3, "audio.fade_in_seconds": -1}, "fade_in_seconds"),
        ({"engines.generators": 7}, "generators"),
        ({"library.directory": "/etc"}, "no setting of your own"),
        ({"server.hosts": ["evil.example"]}, "no setting of your own"),
        ({"ace_step.api_url": "http://169.254.169.254"}, "no setting of your own"),
        ({"x" * 5000: 1}, "no setting of your own"),
        ({"lalalai.api_key": "a\nb"}, "printable"),
        ({"lalalai.api_key": 7}, "printable"),
        ({"lalalai.api_key": ""}, "printable"),
    ],
)
def test_what_cannot_be_set_changes_nothing(server: Server, body: dict[str, Any], match: str) -> None:
    client = server.client()
    before = client.get("/api/settings").json()
    answer = client.patch("/api/settings", json=body)
    assert answer.status_code == 422
    assert match in error_of(answer)["message"]
    assert client.get("/api/settings").json() == before


def test_a_key_can_be_set_and_never_read(server: Server) -> None:
    anna, owner = server.user("anna")
    answer = anna.patch("/api/settings", json={"lalalai.api_key": "very-secret"})
    assert answer.json()["secrets"] == {"lalalai.api_key": True}
    assert "very-secret" not in answer.text + anna.get("/api/settings").text
    assert server.studio.settings_of(owner).credentials({})["lalalai"] == "very-secret"
    assert "lalalai" not in server.studio.settings_of("").credentials({})
    job = anna.post("/api/jobs", json=RAIN)
    assert "very-secret" not in job.text
    assert anna.patch("/api/settings", json={"lalalai.api_key": None}).json()["secrets"] == {"lalalai.api_key": False}


def test_no_owned_setting_is_a_place_or_an_address() -> None:
    for row in owned_rows():
        assert row.type != "path"
        assert not any(word in row.key for word in ("url", "directory", "dir", "file", "key", "token", "device"))
    assert {row.key for row in owned_rows()}.isdisjoint(SECRETS)
