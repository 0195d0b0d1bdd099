"""Every route that the clients use, as calls: what is sent, and what the answer means."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from sottovoce import errors
from sottovoce.client.transfer import Outgoing
from sottovoce.client.values import (
    SentFile,
    ServedFile,
    ServedTrack,
    job_of,
    sent_of,
    served_of,
    track_of,
)
from sottovoce.client.wire import Call
from sottovoce.jobs.job import Job, Lane, State

#: The most that the server tells of at once.
JOBS_PAGE, TRACKS_PAGE = 200, 500


class Wish(Protocol):
    """A request class's value, such as `tasks.generate.Generate`."""

    kind: Any

    def model_dump(self, *, mode: str, exclude_unset: bool) -> dict[str, Any]:
        """Its fields, ready for JSON."""


def health() -> Call[dict[str, Any]]:
    """Whether the server answers, and which it is."""

    def read(told: Any) -> dict[str, Any]:
        about = told["data"]
        if about["service"] != "sottovoce":
            raise ValueError("another service")
        return dict(about)

    return Call("GET", "/health", read, public=True)


def submit(wish: str | Wish, fields: Mapping[str, Any], *, lane: Lane | None, idempotency_key: str | None) -> Call[Job]:
    """File a job; sent twice with the same key, it is one."""
    if isinstance(wish, str):
        body = {"kind": wish, **{name: _named(value) for name, value in fields.items()}}
    else:
        body = {**wish.model_dump(mode="json", exclude_unset=True), "kind": wish.kind, **fields}
    if lane is not None:
        body["lane"] = lane
    return Call(
        "POST", "/api/jobs", _job, body=body, headers={"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
    )


def job(name: str | Job) -> Call[Job]:
    """One job."""
    return Call("GET", _job_place(name), _job)


def jobs(*, state: State | None, kind: str | None, limit: int, after: str | None) -> Call[list[Job]]:
    """A page of jobs."""
    params = _given(state=state, kind=kind, limit=limit, after=after)
    return Call("GET", "/api/jobs", lambda told: [job_of(one) for one in told["jobs"]], params=params)


def cancel(name: str | Job) -> Call[Job]:
    """Stop a job."""
    return Call("DELETE", _job_place(name), _job, repeatable=False)


def retry(name: str | Job) -> Call[Job]:
    """Ask for the same again."""
    return Call("POST", f"{_job_place(name)}/retry", _job, repeatable=False)


def events(name: str | Job) -> Call[None]:
    """What happens to a job, as a stream."""
    return Call("GET", f"{_job_place(name)}/events", _nothing)


def files(name: str | Job) -> Call[tuple[ServedFile, ...]]:
    """The files that a job made and that are no tracks."""
    return Call("GET", f"{_job_place(name)}/files", lambda told: tuple(served_of(one) for one in told["files"]))


def upload(name: str, file: Outgoing) -> Call[SentFile]:
    """Send a file; one that was sent twice goes after an hour, as nothing needs it."""
    plain = name.encode("utf-8", "replace").decode("utf-8")
    return Call("POST", "/api/uploads", sent_of, file=(plain, file))


def tracks(query: Mapping[str, Any], *, limit: int, after: str | None) -> Call[tuple[list[ServedTrack], str | None]]:
    """A page of tracks, and where the next one begins."""
    params = _given(**query, limit=limit, after=after)
    return Call(
        "GET", "/api/tracks", lambda told: ([track_of(one) for one in told["tracks"]], told["after"]), params=params
    )


def track(name: str) -> Call[ServedTrack]:
    """One track."""
    return Call("GET", f"/api/tracks/{_quoted(name)}", lambda told: track_of(told["track"]))


def recipe(name: str | ServedTrack) -> Call[dict[str, Any]]:
    """How a track was made."""
    return Call("GET", f"{_track_place(name)}/recipe", dict)


def stems(name: str | ServedTrack, engine: str | None) -> Call[tuple[ServedFile, ...]]:
    """The stems of a track."""
    return Call(
        "GET",
        f"{_track_place(name)}/stems",
        lambda told: tuple(served_of(one) for one in told["stems"]),
        params=_given(engine=engine),
    )


def engines() -> Call[dict[str, Any]]:
    """What is there, and what it can do."""
    return Call("GET", "/api/engines", dict)


def download(what: ServedTrack | ServedFile | str, form: str | None) -> Call[None]:
    """The bytes of a track or file, or of an address that the server told."""
    place = what if isinstance(what, str) else what.audio if isinstance(what, ServedTrack) else what.url
    # The token goes along: to this server, whatever it names.
    if not place.startswith("/api/"):
        raise errors.InvalidParameter(
            f"{place[:200]!r} is no address of the server's", hint="Give what the client gave you, such as a track."
        )
    if form is not None and not isinstance(what, ServedTrack):
        raise errors.InvalidParameter("only a track comes in another format", hint="Leave `format` out.")
    return Call("GET", place, _nothing, params=_given(format=form), headers={"Accept-Encoding": "identity"})


def _named(value: Any) -> Any:
    """What a request calls a file or a track of the server's."""
    if isinstance(value, SentFile):
        return {"upload": value.id}
    return {"track": value.id} if isinstance(value, ServedTrack) else value


def _nothing(_told: Any) -> None:
    """What is streamed is not read as a whole."""


def _job(told: Any) -> Job:
    return job_of(told["job"])


def _job_place(name: str | Job) -> str:
    return f"/api/jobs/{_quoted(name if isinstance(name, str) else name.id)}"


def _track_place(name: str | ServedTrack) -> str:
    return f"/api/tracks/{_quoted(name if isinstance(name, str) else name.id)}"


def _quoted(name: str) -> str:
    """An id as part of an address; a dot alone would be the folder itself."""
    return quote(name, safe="").replace(".", "%2E") or "%20"


def _given(**params: Any) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in params.items()
        if value is not None
    }
