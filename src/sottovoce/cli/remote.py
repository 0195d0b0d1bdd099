"""`sotto --server URL ...`: the same commands, done by a studio elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from sottovoce.errors import Cancelled, InvalidParameter, JobEnded, RemoteFailed, SottovoceError
from sottovoce.progress import OnProgress, within

if TYPE_CHECKING:
    from sottovoce.client.client import Client
    from sottovoce.client.values import ServedTrack
    from sottovoce.jobs.job import Job
    from sottovoce.settings.serving import ClientSettings
    from sottovoce.tasks.request import Request

#: The commands that another studio can do; what the others are about is on this machine.
COMMANDS = ("generate", "separate", "score", "mood", "jobs")

#: How much of the work sending its files is, and where fetching what was made begins, in percent.
_SENT, _MADE = 10.0, 98.0


@dataclass(frozen=True)
class Flags:
    """What stands before the command."""

    server: str | None = None
    token_file: Path | None = None


_NONE = Flags()
_FLAGS: ContextVar[Flags] = ContextVar("flags", default=_NONE)


def choose(flags: Flags, command: str) -> None:
    """Keep what stands before a command; InvalidParameter if it means nothing to it."""
    if flags != _NONE and command not in COMMANDS:
        raise InvalidParameter(
            f"`sotto {command}` is about this machine, so --server and --token-file mean nothing to it",
            hint=f"Leave them out; a server does {', '.join(COMMANDS)}.",
        )
    _FLAGS.set(flags)


@contextmanager
def server() -> Iterator[Client | None]:
    """The studio elsewhere that is to do the command; None where it is this machine's."""
    from sottovoce.settings import load_settings

    flags, settings = _FLAGS.get(), load_settings().client
    url = flags.server or settings.url
    if url is None:
        if flags.token_file is not None:
            raise InvalidParameter("--token-file is for a server, and none is named", hint="Name it with --server URL.")
        yield None
        return
    from sottovoce.client.client import Client

    with Client(url, _token(flags, settings)) as client:
        yield client


def _token(flags: Flags, settings: ClientSettings) -> str | None:
    """The token to show. That of the settings is for the server of the settings, if they name one."""
    from sottovoce.client.wire import checked_address, same_origin
    from sottovoce.settings.section import secret_in

    if flags.token_file is not None:
        return secret_in(flags.token_file, "token")
    elsewhere = flags.server is not None and settings.url is not None
    if elsewhere and not same_origin(checked_address(str(flags.server)), str(settings.url)):
        return None
    return settings.secret()


def done(client: Client, kind: type[Request], fields: Mapping[str, Any], progress: OnProgress) -> Job:
    """A request done there: its files are sent, and what happens to its job is shown. When that is interrupted, the job is cancelled."""
    from sottovoce.tasks.request import validate

    files = {name: value["path"] for name, value in fields.items() if isinstance(value, Mapping) and "path" in value}
    # What is wrong is said before a large file is sent.
    validate(kind, {**fields, **{name: {"upload": "later"} for name in files}})
    client.health()
    sent = {}
    for number, (name, path) in enumerate(files.items()):
        start, end = (_SENT * place / len(files) for place in (number, number + 1))
        sent[name] = client.upload(path, progress=within(progress, start, end))
    # With the key, asking again finds the job that an interrupt kept from us.
    wish = {**fields, **sent, "idempotency_key": secrets.token_hex(16)}
    file = partial(client.submit, kind.model_fields["kind"].default, **wish)
    job: Job | None = None
    try:
        job = file()
        return client.wait(job, progress=within(progress, _SENT if files else 0.0, _MADE))
    except KeyboardInterrupt:
        _stop(client, job, file)
        raise


def result(job: Job, part: str) -> Any:
    """A part of what a job has made: `report`, `tracks`, `stems`, `files`."""
    return (job.result or {})[part]


def fetch(client: Client, job: Job, name: str, target: Path) -> Path:
    """One of the files a job has made."""
    found = next((file for file in client.files(job) if file.name == name), None)
    if found is None:
        raise RemoteFailed(
            f"job {job.id} made {name!r}, and the server does not have it any more", hint="Ask for it again."
        )
    return client.download(found, to=target)


def plain_name(name: str) -> str:
    """A file's name as the server tells it, which must not lead elsewhere."""
    if PurePath(name).name != name or name.startswith(".") or "\\" in name:
        raise RemoteFailed(f"the server names a file {name!r:.80}, which is no name for a file", hint="")
    return name


def shown(client: Client, track: ServedTrack) -> dict[str, Any]:
    """A track as a command shows it, with addresses that can be used from here."""
    places = {name: place and client.url + place for name, place in (("audio", track.audio), ("midi", track.midi))}
    return {name: value for name, value in track.as_dict().items() if name != "recipe"} | places


def _stop(client: Client, job: Job | None, file: Callable[[], Job]) -> None:
    """Cancel a job; Cancelled says what to type if that cannot be done."""
    try:
        client.cancel(job or file())
    except JobEnded:
        return
    except SottovoceError as error:
        raise Cancelled(
            f"stopped here, but the job may go on there: {error.message}",
            hint=f"`sotto --server {client.url} jobs list` shows it, and `jobs cancel JOB` stops it.",
        ) from None
