"""What the settings of the queue and of the server change; `test_settings_act` runs these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.server.conftest import wav
from tests.servers.loopback import Loopback, serving

from sottovoce import cli, errors
from sottovoce.server.app import check_open, make_app, uvicorn_config
from sottovoce.tasks.generate import Generate
from sottovoce.worker.host import Host

if TYPE_CHECKING:
    from tests.test_settings_act import Bench


def max_pending(bench: Bench) -> None:
    with bench.studio(jobs__max_pending=1) as studio:
        request = studio.request(Generate, {"prompt": "x"})
        studio.submit(request)
        with pytest.raises(errors.QueueFull):
            studio.submit(request)


def workers(bench: Bench) -> None:
    with bench.studio(jobs__workers=3) as studio:
        assert Host(studio).workers == 3


def stall_seconds(bench: Bench) -> None:
    with bench.studio(jobs__stall_seconds=7) as studio:
        assert Host(studio).child().stall_seconds == 7


def keep_days(bench: Bench) -> None:
    for days, kept in ((30, 1), (1e-9, 0)):
        with bench.studio(jobs__keep_days=days) as studio:
            if days > 1:
                studio.queue.cancel(studio.submit(studio.request(Generate, {"prompt": "x"})).id)
            Host(studio).sweep()
            assert len(studio.queue.list()) == kept


def _budget(kind: str) -> Callable[[Bench], None]:
    def acts(bench: Bench) -> None:
        with bench.studio(**{f"jobs__max_seconds__{kind}": 77}) as studio:
            assert Host(studio).budget(kind) == 77

    return acts


@contextmanager
def _client(bench: Bench, headers: dict[str, str] | None = None, **settings: Any) -> Iterator[TestClient]:
    with bench.studio(**{f"server__{name}": value for name, value in settings.items()}) as studio:
        yield TestClient(make_app(studio), "http://127.0.0.1", headers=headers, client=("127.0.0.1", 5000))


def _upload(client: TestClient, seconds: float) -> int:
    return client.post("/api/uploads", files={"file": ("a.wav", BytesIO(wav(seconds)))}).status_code


def host(bench: Bench) -> None:
    with bench.studio(server__host="0.0.0.0") as studio:
        assert uvicorn_config(make_app(studio), studio.settings.server).host == "0.0.0.0"
        with pytest.raises(errors.Unauthorized):
            check_open(studio)


def port(bench: Bench) -> None:
    with bench.studio(server__port=8499) as studio:
        assert uvicorn_config(make_app(studio), studio.settings.server).port == 8499


def max_upload_mb(bench: Bench) -> None:
    with _client(bench, max_upload_mb=1) as client:
        assert _upload(client, 70) == 413


def max_duration_seconds(bench: Bench) -> None:
    with _client(bench, max_duration_seconds=2) as client:
        assert _upload(client, 3) == 413


def _separate(client: TestClient, seconds: float) -> tuple[int, str]:
    answer = client.post("/api/separate", files={"file": ("a.wav", BytesIO(wav(seconds)))})
    return answer.status_code, answer.text


def separation_max_mb(bench: Bench) -> None:
    with _client(bench, separation_max_mb=1) as client:
        assert _separate(client, 1)[0] == 200
        status, text = _separate(client, 70)
    assert status == 413
    assert "File too large" in text


def separation_max_seconds(bench: Bench) -> None:
    with _client(bench, separation_max_seconds=2) as client:
        assert _separate(client, 1)[0] == 200
        status, text = _separate(client, 3)
    assert status == 413
    assert "File too long" in text


def rate_per_minute(bench: Bench) -> None:
    with _client(bench, rate_per_minute=2) as client:
        answers = [client.delete("/api/tracks/none").status_code for _ in range(3)]
    assert answers == [404, 404, 429]


def heavy_per_minute(bench: Bench) -> None:
    with _client(bench, heavy_per_minute=1) as client:
        answers = [client.post("/api/jobs", json={"kind": "none"}).status_code for _ in range(2)]
    assert answers == [422, 429]


def hosts(bench: Bench) -> None:
    for names, answer in (((), 421), (("studio.example",), 401)):
        with _client(bench, {"Host": "studio.example"}, hosts=names) as client:
            assert client.get("/api/tracks").status_code == answer


def trusted_proxies(bench: Bench) -> None:
    for proxies, answer in (((), 200), (("127.0.0.1",), 401)):
        with _client(bench, trusted_proxies=proxies) as client:
            assert client.get("/api/tracks").status_code == answer


def token_file(bench: Bench) -> None:
    secret = "sv_" + "s" * 40
    (bench.folder / "token").write_text(secret)
    with _client(bench, {"Authorization": f"Bearer {secret}"}, token_file=str(bench.folder / "token")) as client:
        assert client.get("/api/tracks").status_code == 200
    with _client(bench, {"Authorization": "Bearer wrong"}) as client:
        assert client.get("/api/tracks").status_code == 401


class _Elsewhere(Loopback):
    """A server without jobs, and the tokens it was shown."""

    shown: list[str | None]

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        type(self).shown.append(self.headers.get("Authorization"))
        self.say(200, b'{"jobs": [], "after": null}')


def _shown(**settings: str) -> list[str | None]:
    """What `sotto jobs list` shows a server, with these settings beside its address."""
    _Elsewhere.shown = []
    with serving(_Elsewhere) as port, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOTTO_CLIENT__URL", f"http://127.0.0.1:{port}")
        for name, value in settings.items():
            environment.setenv(f"SOTTO_CLIENT__{name.upper()}", value)
        assert cli.run(["jobs", "list"]) == 0
    return _Elsewhere.shown


def client_url(bench: Bench) -> None:
    assert _shown() == [None]


def client_token(bench: Bench) -> None:
    assert _shown(token="sv_secret") == ["Bearer sv_secret"]


def client_token_file(bench: Bench) -> None:
    (bench.folder / "token").write_text("sv_secret\n")
    assert _shown(token_file=str(bench.folder / "token")) == ["Bearer sv_secret"]


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "jobs.max_pending": max_pending,
    "jobs.workers": workers,
    "jobs.stall_seconds": stall_seconds,
    "jobs.keep_days": keep_days,
    **{f"jobs.max_seconds.{kind}": _budget(kind) for kind in ("generate", "separate", "score", "mood", "pull")},
    "server.host": host,
    "server.port": port,
    "server.max_upload_mb": max_upload_mb,
    "server.max_duration_seconds": max_duration_seconds,
    "server.separation_max_mb": separation_max_mb,
    "server.separation_max_seconds": separation_max_seconds,
    "server.rate_per_minute": rate_per_minute,
    "server.heavy_per_minute": heavy_per_minute,
    "server.hosts": hosts,
    "server.trusted_proxies": trusted_proxies,
    "server.token_file": token_file,
    "client.url": client_url,
    "client.token": client_token,
    "client.token_file": client_token_file,
}
