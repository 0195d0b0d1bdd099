"""Every answer has the same form and the same strict headers, also when everything goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.server.conftest import AddTrack, Server, error_of

from sottovoce.errors import LibraryBusy
from sottovoce.library.tracks import Library
from sottovoce.server.answers import HEADERS, Json


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/jobs/", 404, "NOT_FOUND"),
        ("GET", "/api/tracks//audio", 404, "NOT_FOUND"),
        ("PUT", "/api/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/api/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/api/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/docs", 404, "NOT_FOUND"),
        ("GET", "/api/jobs/x", 404, "JOB_NOT_FOUND"),
        ("DELETE", "/api/jobs/x", 404, "JOB_NOT_FOUND"),
        ("POST", "/api/jobs/x/retry", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/jobs/x/events", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/jobs/x/files", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/jobs/x/files/..%2f..%2fsotto.db", 404, None),
    ],
)  # fmt: skip
def test_errors_have_one_form_and_the_headers(
    server: Server, method: str, path: str, status: int, code: str | None
) -> None:
    answer = server.client().request(method, path)
    assert answer.status_code == status
    assert code in (None, error_of(answer)["code"])
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_a_crash_is_told_by_its_id_and_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def crash(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the secret is /srv/x")

    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr(Library, "get", crash)
    answer = server.client().get("/api/tracks/x")
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert error["details"]["log_id"] in error["hint"]
    log = (tmp_path / "sotto.log").read_text()
    assert error["details"]["log_id"] in log
    assert "the secret is /srv/x" in log
    assert answer.headers["x-content-type-options"] == "nosniff"
    monkeypatch.undo()
    assert server.client().get("/api/tracks").status_code == 200


def test_an_error_of_ours_keeps_its_status(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_arguments: object, **_options: object) -> None:
        raise LibraryBusy("wait", hint="Try again.")

    monkeypatch.setattr(Library, "search", busy)
    answer = server.client().get("/api/tracks")
    assert (answer.status_code, error_of(answer)["code"], error_of(answer)["hint"]) == (
        503,
        "LIBRARY_BUSY",
        "Try again.",
    )


def test_a_crash_at_the_gate_is_answered_too(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def crash(*_arguments: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr("sottovoce.server.access.Access.caller", crash)
    answer = server.client().get("/api/tracks")
    assert error_of(answer)["code"] == "INTERNAL"
    assert answer.headers["x-frame-options"] == "DENY"


def test_json_is_ascii_and_has_no_numbers_of_its_own() -> None:
    assert (
        Json({"a": "\ud800é", "b": float("-inf"), "c": (1, None)}).body
        == b'{"a":"\\ud800\\u00e9","b":null,"c":[1,null]}'
    )


def test_health_needs_nothing_and_speaks_to_other_clients_too(server: Server) -> None:
    server.token("anna")
    told = server.client().get("/health").json()
    assert told["status"] == told["data"]["status"] == "ok"
    assert (told["code"], told["error"]) == (200, None)
    assert "device" in told


def test_metrics_count(server: Server, add_track: AddTrack) -> None:
    add_track(server.studio)
    server.job()
    answer = server.client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'sottovoce_jobs{state="queued"} 1' in lines
    assert 'sottovoce_jobs{state="failed"} 0' in lines
    assert "sottovoce_tracks 1" in lines
    assert "sottovoce_tracks_seconds 1" in lines
    assert "# TYPE sottovoce_jobs gauge" in lines
    assert all(line.startswith("#") or line.count(" ") == 1 for line in lines)


def test_engines_are_listed_in_the_users_order(server: Server) -> None:
    told = server.client().get("/api/engines").json()
    assert set(told) == {"generator", "separator", "mood reader", "prompt enhancer"} or "generator" in told
    composer = next(engine for engine in told["generator"] if engine["name"] == "composer")
    assert composer["ready"] is True
    assert composer["auto"] is not None


def test_the_documentation_shows_every_request(server: Server) -> None:
    told = server.client().get("/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    body = told["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = [choice["$ref"].rsplit("/", 1)[1] for choice in body["oneOf"]]
    assert named == ["Generate", "Separate", "Score", "ReadMood", "Pull"]
    for name in named:
        assert "lane" in told["components"]["schemas"][name]["properties"]
    text = json.dumps(told)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}:
        assert reference in told["components"]["schemas"]
