"""Who comes in: every route, asked by everyone who might; and what a server that others can reach insists on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.server.conftest import AddTrack, Server, Start, error_of, wav

from sottovoce import errors
from sottovoce.server.access import COOKIE, is_loopback
from sottovoce.server.app import check_open, make_app

pytestmark = pytest.mark.usefixtures("quick_probe")

#: Per kind of route what is answered to: no token, a wrong one, another user, the owner, an administrator, a wrong Host, a foreign page.
KINDS = {
    "public": (200, 200, 200, 200, 200, 421, 200),
    "own": (401, 401, 404, 200, 200, 421, 200),
    "own, changing": (401, 401, 404, 200, 200, 421, 403),
    "each": (401, 401, 200, 200, 200, 421, 200),
    "each, changing": (401, 401, 200, 200, 200, 421, 403),
    "admin": (401, 401, 403, 403, 200, 421, 403),
    "admin, changing": (401, 401, 403, 403, 200, 421, 403),
    #: Nobody here has a key of lalal.ai.
    "keyed": (401, 401, 409, 409, 409, 421, 409),
}

Ask = Callable[["Scene"], dict[str, Any]]


class Scene:
    """A server with things of one owner; `ask` says what to send for a route, with fresh things where it takes them away."""

    def __init__(self, server: Server, add_track: AddTrack) -> None:
        self.server, self.add_track, self.count = server, add_track, 0
        self.owner = server.studio.tokens.create("owner")
        self.other = server.studio.tokens.create("other")
        self.admin = server.studio.tokens.create("admin", admin=True)
        self.lasting_track = add_track(server.studio).id
        self.lasting_job = self.job()
        folder = server.studio.job_folder(self.lasting_job)
        folder.mkdir(parents=True)
        (folder / "plot.png").write_bytes(b"picture")

    def job(self) -> str:
        return self.server.job(self.owner[0].id).id

    def last_job(self) -> str:
        """A job of the owner's with nobody else's before it."""
        return self.server.studio.queue.submit("mood", {}, owner=self.owner[0].id, lane="interactive").id

    def separation(self) -> str:
        request = {"source": {"track": self.lasting_track}, "engine": "lalalai"}
        return self.server.studio.queue.submit("separate", request, owner=self.owner[0].id).id

    def piece(self) -> str:
        """A job of the owner's that has made a piece."""
        return self._done(self.job(), tracks=[self.lasting_track])

    def split(self) -> str:
        """A job of the owner's that has separated a track."""
        request = {"source": {"track": self.lasting_track}}
        job = self.server.studio.queue.submit("separate", request, owner=self.owner[0].id)
        return self._done(job.id, report={"engine": "tone", "stems": ["drums"]})

    def _done(self, job: str, **made: Any) -> str:
        taken = self.server.studio.queue.begin(job, "test")
        assert taken is not None
        self.server.studio.queue.finish(taken, {"report": {}, "tracks": [], "stems": {}, "files": {}} | made)
        return job

    def over(self) -> str:
        return self.server.studio.queue.cancel(self.job()).id

    def track(self) -> str:
        self.count += 1
        return self.add_track(self.server.studio, hertz=500.0 + self.count, bare=True).id

    def upload(self) -> str:
        return self.server.upload(self.owner[0].id).id


def get(path: str) -> Ask:
    return lambda scene: {"method": "GET", "url": path.format(job=scene.lasting_job, track=scene.lasting_track)}


ROUTES: dict[str, tuple[str, Ask]] = {
    "GET /health": ("public", get("/health")),
    "POST /login": ("public", lambda scene: {"method": "POST", "url": "/login", "json": {"token": scene.owner[1]}}),
    "POST /logout": ("each, changing", lambda _: {"method": "POST", "url": "/logout"}),
    "GET /metrics": ("admin", get("/metrics")),
    "POST /release_task": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/release_task", "json": {"prompt": "rain", "batch_size": 1}},
    ),
    "POST /query_result": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/query_result", "json": {"task_id_list": []}},
    ),
    "POST /format_input": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/format_input", "json": {"prompt": "rain"}},
    ),
    "POST /create_random_sample": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/create_random_sample", "json": {}},
    ),
    "GET /v1/models": ("each", get("/v1/models")),
    "GET /v1/model_inventory": ("each", get("/v1/model_inventory")),
    "GET /v1/audio": ("each", get("/v1/audio?path={track}.flac")),
    "GET /v1/stats": ("each", get("/v1/stats")),
    "GET /openapi.json": ("each", get("/openapi.json")),
    "GET /api/engines": ("each", get("/api/engines")),
    "GET /api/jobs": ("each", get("/api/jobs")),
    "POST /api/jobs": (
        "each, changing",
        lambda _: {
            "method": "POST",
            "url": "/api/jobs",
            "json": {"kind": "generate", "prompt": "rain", "lane": "batch"},
        },
    ),
    "GET /api/jobs/{job}": ("own", get("/api/jobs/{job}")),
    "DELETE /api/jobs/{job}": (
        "own, changing",
        lambda scene: {"method": "DELETE", "url": f"/api/jobs/{scene.job()}"},
    ),
    "POST /api/jobs/{job}/retry": (
        "own, changing",
        lambda scene: {"method": "POST", "url": f"/api/jobs/{scene.lasting_job}/retry"},
    ),
    "GET /api/jobs/{job}/events": ("own", lambda scene: {"method": "GET", "url": f"/api/jobs/{scene.over()}/events"}),
    "GET /api/jobs/{job}/files": ("own", get("/api/jobs/{job}/files")),
    "GET /api/jobs/{job}/files/{name}": ("own", get("/api/jobs/{job}/files/plot.png")),
    "GET /api/jobs/{job}/log": ("own", get("/api/jobs/{job}/log")),
    "POST /api/jobs/{job}/move": (
        "own, changing",
        lambda scene: {"method": "POST", "url": f"/api/jobs/{scene.last_job()}/move", "json": {}},
    ),
    "POST /api/estimate": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/api/estimate", "json": {"kind": "generate", "prompt": "rain"}},
    ),
    "POST /api/enhance": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/api/enhance", "json": {"prompt": "rain"}},
    ),
    "GET /api/settings": ("each", get("/api/settings")),
    "PATCH /api/settings": (
        "each, changing",
        lambda _: {"method": "PATCH", "url": "/api/settings", "json": {"audio.ducking_ratio": 3}},
    ),
    "GET /api/models": ("each", get("/api/models")),
    "POST /api/models/{name}/pull": (
        "admin, changing",
        lambda _: {"method": "POST", "url": "/api/models/htdemucs/pull"},
    ),
    "DELETE /api/models/{name}": (
        "admin, changing",
        lambda _: {"method": "DELETE", "url": "/api/models/htdemucs"},
    ),
    "GET /api/lalalai/quota": ("keyed", get("/api/lalalai/quota")),
    "POST /api/lalalai/cancel": (
        "own, changing",
        lambda scene: {"method": "POST", "url": "/api/lalalai/cancel", "json": {"job": scene.separation()}},
    ),
    "POST /api/lalalai/cancel-all": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/api/lalalai/cancel-all"},
    ),
    "POST /api/uploads": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/api/uploads", "files": {"file": ("rain.wav", wav(0.1))}},
    ),
    "POST /generate": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/generate", "json": {"prompt": "rain", "duration": 10}},
    ),
    "POST /generate/soundtrack": (
        "each, changing",
        lambda _: {
            "method": "POST",
            "url": "/generate/soundtrack",
            "json": {"base_prompt": "rain", "scenes": [{"duration": 30}]},
        },
    ),
    "POST /separate": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/separate", "files": {"file": ("rain.wav", wav(0.1))}},
    ),
    "GET /jobs/{job}": ("own", get("/jobs/{job}")),
    "GET /files/{name}": ("own", lambda scene: {"method": "GET", "url": f"/files/{scene.piece()}_generated.wav"}),
    "POST /api/separate": (
        "each, changing",
        lambda _: {"method": "POST", "url": "/api/separate", "files": {"file": ("rain.wav", wav(0.1))}},
    ),
    # Of another's task it says, as of an unknown one, that there is none.
    "GET /api/separate/{task}/progress": (
        "each",
        lambda scene: {"method": "GET", "url": f"/api/separate/{scene.split()}/progress"},
    ),
    "GET /api/separate/{task}/stems/{stem}": (
        "own",
        lambda scene: {"method": "GET", "url": f"/api/separate/{scene.split()}/stems/drums"},
    ),
    "POST /api/processing/separate": (
        "each, changing",
        lambda scene: {
            "method": "POST",
            "url": "/api/processing/separate",
            "json": {"track_id": scene.lasting_track},
        },
    ),
    "GET /api/processing/job/{job}": (
        "own",
        lambda scene: {"method": "GET", "url": f"/api/processing/job/{scene.split()}"},
    ),
    "GET /api/processing/models": ("each", get("/api/processing/models")),
    "GET /files/stems/{job}/{stem}.wav": (
        "own",
        lambda scene: {"method": "GET", "url": f"/files/stems/{scene.split()}/drums.wav"},
    ),
    "GET /export/stem/{stem_id}": ("each", get("/export/stem/{track}.tone.drums")),
    "GET /export/stems/{track_id}": ("each", get("/export/stems/{track}")),
    "GET /api/tracks": ("each", get("/api/tracks")),
    "POST /api/tracks": (
        "own, changing",
        lambda scene: {"method": "POST", "url": "/api/tracks", "json": {"upload": scene.upload()}},
    ),
    "GET /api/tracks/export": ("each", get("/api/tracks/export?ids={track}")),
    "GET /api/tracks/{track}": ("each", get("/api/tracks/{track}")),
    "PATCH /api/tracks/{track}": (
        "each, changing",
        lambda scene: {"method": "PATCH", "url": f"/api/tracks/{scene.lasting_track}", "json": {"rating": 3}},
    ),
    "DELETE /api/tracks/{track}": (
        "each, changing",
        lambda scene: {"method": "DELETE", "url": f"/api/tracks/{scene.track()}"},
    ),
    "POST /api/tracks/{track}/restore": (
        "each, changing",
        lambda scene: {"method": "POST", "url": f"/api/tracks/{scene.lasting_track}/restore"},
    ),
    "GET /api/tracks/{track}/audio": ("each", get("/api/tracks/{track}/audio")),
    "GET /api/tracks/{track}/peaks": ("each", get("/api/tracks/{track}/peaks")),
    "GET /api/tracks/{track}/spectrogram": ("each", get("/api/tracks/{track}/spectrogram?width=64&height=32")),
    "GET /api/tracks/{track}/sections": ("each", get("/api/tracks/{track}/sections")),
    "GET /api/tracks/{track}/recipe": ("each", get("/api/tracks/{track}/recipe")),
    "GET /api/tracks/{track}/midi": ("each", get("/api/tracks/{track}/midi")),
    "GET /api/tracks/{track}/stems": ("each", get("/api/tracks/{track}/stems")),
    "GET /api/tracks/{track}/stems/{stem}": ("each", get("/api/tracks/{track}/stems/drums")),
    "GET /api/tracks/{track}/stems.zip": ("each", get("/api/tracks/{track}/stems.zip")),
}


def routes(router: Any) -> Iterator[str]:
    """Every route as METHOD /path, those of included routers too."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            assert not route.include_context.prefix
            yield from routes(inner)
        else:
            methods = route.methods if isinstance(route, APIRoute) else (route.methods or set()) - {"HEAD"}
            yield from (f"{method} {route.path}" for method in methods or ())


def test_every_route_has_an_entry(server: Server) -> None:
    assert set(routes(make_app(server.studio))) == set(ROUTES)


def test_the_matrix(server: Server, add_track: AddTrack) -> None:
    scene = Scene(server, add_track)
    cookies = {COOKIE: server.studio.tokens.open_session(scene.owner[0])}
    columns = {
        "no token": server.client(),
        "wrong token": server.client("sotto_wrong"),
        "other user": server.client(scene.other[1]),
        "owner": server.client(scene.owner[1]),
        "admin": server.client(scene.admin[1]),
        "foreign Host": server.client(scene.admin[1], Host="evil.example"),
        "foreign Origin": server.client(Origin="https://evil.example"),
    }
    wrong = []
    for route, (kind, ask) in ROUTES.items():
        for (column, client), expected in zip(columns.items(), KINDS[kind], strict=True):
            if (route, column) == ("POST /login", "foreign Origin"):
                expected = 403
            if (route, column) == ("GET /metrics", "foreign Origin"):
                expected = 403
            client.cookies.clear()
            if column == "foreign Origin":
                client.cookies.update(cookies)
            answer = client.request(**ask(scene))
            got = 200 if answer.is_success else answer.status_code
            if got != expected:
                wrong.append(f"{route} by {column}: {answer.status_code} {answer.text[:200]}")
            # Dialects have errors of their own shape; what the gate refuses keeps ours. Where the token may be in the body, the route refuses.
            if got in (401, 403, 421) and "detail" not in answer.json():
                error_of(answer)
            assert "content-security-policy" in answer.headers
    assert not wrong, "\n".join(wrong)


def test_unknown_addresses_need_a_token_too(start: Start) -> None:
    server = start()
    secret = server.token("anna")
    assert server.client().get("/nothing").status_code == 401
    assert server.client(secret).get("/nothing").status_code == 404


def test_this_machine_alone_needs_no_token_until_there_is_one(server: Server) -> None:
    client = server.client()
    assert client.get("/metrics").status_code == 200
    server.token("anna")
    assert client.get("/metrics").status_code == 401
    server.studio.tokens.revoke("anna")
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "settings", [{"hosts": ("music.example",)}, {"trusted_proxies": ("10.0.0.1",)}, {"host": "0.0.0.0"}]
)
def test_a_server_for_others_needs_tokens(start: Start, settings: dict[str, Any]) -> None:
    server = start(**settings)
    answer = server.client().get("/api/jobs")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "sotto token create" in error_of(answer)["hint"]
    with pytest.raises(errors.Unauthorized, match="tokens"):
        check_open(server.studio)
    secret = server.token("anna")
    check_open(server.studio)
    assert server.client(secret).get("/api/jobs").status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "Via"])
def test_what_comes_by_a_proxy_is_not_this_machine(server: Server, header: str) -> None:
    assert server.client(**{header: "127.0.0.1"}).get("/api/jobs").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8420", 200),
        ("127.0.0.1", 200),
        ("[::1]:8420", 200),
        ("music.example", 200),
        ("Music.Example:443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:80@localhost", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_it_answers_to_its_names_only(start: Start, host: str, status: int) -> None:
    server = start(hosts=("music.example",))
    secret = server.token("anna")
    assert server.client(secret).get("/api/jobs", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Origin": "{url}"}, 204),
        ({"Origin": "{url}", "Sec-Fetch-Site": "same-origin"}, 204),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(
    server: Server, add_track: AddTrack, headers: dict[str, str], status: int
) -> None:
    track = add_track(server.studio, bare=True).id
    told = {name: value.format(url=server.url) for name, value in headers.items()}
    assert server.client().delete(f"/api/tracks/{track}", headers=told).status_code == status
    secret = server.token("anna")
    fine = server.client(secret).delete(f"/api/tracks/{track}", headers=told).status_code
    assert fine == (404 if status == 204 else 204)


def test_a_session_is_a_cookie_that_ends_with_its_token(server: Server) -> None:
    secret = server.token("anna")
    client = server.client()
    answer = client.post("/login", json={"token": secret})
    assert answer.json() == {"name": "anna", "role": "user"}
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert secret not in cookie
    assert client.get("/api/jobs").status_code == 200
    assert client.get("/metrics").status_code == 403
    server.token("admin", admin=True)
    server.studio.tokens.revoke("anna")
    assert client.get("/api/jobs").status_code == 401


def test_logging_out_ends_the_session_everywhere(server: Server) -> None:
    secret = server.token("anna")
    client, copied = server.client(), server.client()
    client.post("/login", json={"token": secret})
    copied.cookies.update(client.cookies)
    assert client.post("/logout").status_code == 204
    assert COOKIE not in client.cookies
    assert copied.get("/api/jobs").status_code == 401


@pytest.mark.parametrize("body", [{"token": "sotto_no"}, {"token": ""}, {"token": "\ud800"}])
def test_a_wrong_token_begins_no_session(server: Server, body: dict[str, str]) -> None:
    server.token("anna")
    answer = server.client().post("/login", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert error_of(answer)["code"] in ("UNAUTHORIZED", "INVALID_PARAMETER")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("shown", ["", "Bearer", "Basic YTpi", "bearer sotto_wrong", "Bearer \xff"])
def test_a_token_that_is_shown_counts_whatever_comes_along(server: Server, shown: str) -> None:
    """Neither a session nor being this machine helps; so a wrong header never opens what the check of Origin was skipped for."""
    client = server.client()
    assert client.get("/api/jobs", headers={b"Authorization": shown.encode("latin-1")}).status_code == 401
    client.post("/login", json={"token": server.token("anna")})
    assert client.get("/api/jobs", headers={b"Authorization": shown.encode("latin-1")}).status_code == 401
    assert client.get("/api/jobs").status_code == 200


def test_only_a_trusted_proxy_says_that_it_is_https(start: Start) -> None:
    server = start(trusted_proxies=("127.0.0.0/8",), hosts=("music.example",))
    secret = server.token("anna")
    answer = server.client().post("/login", json={"token": secret}, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_the_file_of_a_container_brings_the_first_administrator(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s" * 40 + "\n")
    server = start(host="0.0.0.0", token_file=file)
    assert server.client("s" * 40).get("/metrics").status_code == 200
    check_open(server.studio)


def test_settings_that_cannot_be_served_are_refused(start: Start, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidParameter, match="trusted_proxies"):
        start(trusted_proxies=("my-proxy",))
    with pytest.raises(errors.InputUnreadable, match="token_file"):
        start(token_file=tmp_path / "missing")


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.8.9.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("music", False),
    ],
)
def test_loopback(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_users_see_their_own_jobs_and_administrators_all(server: Server) -> None:
    anna, anna_id = server.user("anna")
    bert, bert_id = server.user("bert")
    mine, other, local = server.job(anna_id).id, server.job(bert_id).id, server.job().id

    def listed(client: httpx.Client) -> list[str]:
        return [job["id"] for job in client.get("/api/jobs").json()["jobs"]]

    assert listed(anna) == [mine]
    assert listed(bert) == [other]
    assert listed(server.client(server.token("admin", admin=True))) == [local, other, mine]
