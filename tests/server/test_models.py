"""Models over HTTP: everyone sees them, administrators fetch them as jobs and remove them."""

from __future__ import annotations

from tests.server.conftest import Server, error_of


def test_models_are_listed_with_what_is_here(server: Server) -> None:
    told = server.client().get("/api/models").json()
    models = {model["name"]: model for model in told["models"]}
    assert {"htdemucs", "musicgen-small"} <= models.keys()
    assert not models["htdemucs"]["here"]
    assert {"licence", "memory_mb", "bytes", "speeds"} <= models["htdemucs"].keys()
    assert told["bytes_on_disk"] == 0


def test_a_pull_is_a_job_of_an_administrator(server: Server) -> None:
    user, _ = server.user("anna")
    admin = server.client(server.token("root", admin=True))
    for answer in (
        user.post("/api/models/htdemucs/pull"),
        user.post("/api/jobs", json={"kind": "pull", "names": ["htdemucs"]}),
        user.delete("/api/models/htdemucs"),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (403, "FORBIDDEN")
    made = admin.post("/api/models/htdemucs/pull", json={"accept_licence": True})
    assert made.status_code == 202
    job = made.json()["job"]
    assert (job["kind"], job["request"]) == ("pull", {"names": ["htdemucs"], "accept_licence": True})
    assert made.headers["location"] == f"/api/jobs/{job['id']}"
    assert admin.post("/api/models/none-such/pull").status_code in (404, 409, 422)
    assert admin.post("/api/models/..%2f..%2fetc/pull").status_code == 404
    assert admin.delete("/api/models/htdemucs").json() == {"freed": 0}
