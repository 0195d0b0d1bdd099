"""Jobs and their events as rows: read and written inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, or_, select, update

from sottovoce.database.schema import job_events, jobs
from sottovoce.jobs.events import Event, EventKind
from sottovoce.jobs.job import ENDED, Job, State

#: What a job is thought to take while nothing like it was ever done here, in seconds.
_UNKNOWN_SECONDS = 60.0
#: So many of the last jobs of a kind say how long the next one takes.
_RECENT = 20


def now() -> str:
    """This moment as rows keep it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def put(connection: Connection, fields: Mapping[str, Any]) -> None:
    """A new job, and the event that it waits."""
    number = connection.execute(insert(jobs).values(fields)).inserted_primary_key
    assert number is not None, "an insert of one row gives its key"
    _tell(connection, number[0], "queued", {})


def find(connection: Connection, *conditions: ColumnElement[bool]) -> Job | None:
    """The job that meets the conditions, if there is one."""
    row = connection.execute(select(jobs).where(*conditions)).mappings().first()
    return None if row is None else _read(connection, [row])[0]


def page(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], *, limit: int, after: str | None
) -> tuple[Job, ...]:
    """Jobs that meet the conditions, the newest first; `after` is the id of the last one seen."""
    wanted = list(conditions)
    if after is not None:
        wanted.append(jobs.c.number < select(jobs.c.number).where(jobs.c.id == after).scalar_subquery())
    query = select(jobs).where(*wanted).order_by(jobs.c.number.desc()).limit(limit)
    return tuple(_read(connection, connection.execute(query).mappings().all()))


def change(
    connection: Connection, job: str, event: EventKind, fields: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> bool:
    """Change a job and tell it, if it still meets the conditions; whether it did."""
    stored = {name: _text(value) if name in ("error", "result") else value for name, value in fields.items()}
    number = connection.scalar(select(jobs.c.number).where(jobs.c.id == job, *conditions))
    if number is None:
        return False
    connection.execute(update(jobs).where(jobs.c.number == number).values(stored))
    shown = {name: value for name, value in fields.items() if name not in ("worker", "state")}
    _tell(connection, number, event, shown)
    return True


def read_events(connection: Connection, *, after: int, job: str | None, limit: int) -> tuple[Event, ...]:
    """What happened after the event `after`, oldest first."""
    query = select(job_events.c.seq, jobs.c.id, job_events.c.kind, job_events.c.json).join(jobs)
    if job is not None:
        query = query.where(jobs.c.id == job)
    found = connection.execute(query.where(job_events.c.seq > after).order_by(job_events.c.seq).limit(limit))
    return tuple(Event(seq, name, kind, json.loads(text)) for seq, name, kind, text in found)


def waiting(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """How many jobs wait that meet the conditions."""
    count = connection.scalar(select(func.count()).select_from(jobs).where(jobs.c.state == "queued", *conditions))
    return count or 0


def usual_seconds(connection: Connection, kind: str) -> float:
    """How long jobs of a kind took here lately: the median."""
    query = select(jobs.c.started, jobs.c.ended).where(jobs.c.kind == kind, jobs.c.state == "done")
    recent = connection.execute(query.order_by(jobs.c.number.desc()).limit(_RECENT)).all()
    taken = [
        (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds() for started, ended in recent
    ]
    return median(taken) if taken else _UNKNOWN_SECONDS


def forget(connection: Connection, before: str) -> tuple[str, ...]:
    """Remove the jobs that ended before a moment; their ids."""
    over = and_(jobs.c.state.in_(ENDED), jobs.c.ended < before)
    ids = tuple(connection.scalars(select(jobs.c.id).where(over)))
    connection.execute(delete(jobs).where(over))
    return ids


def uploads_named(connection: Connection) -> frozenset[str]:
    """The uploads in the requests of jobs that are not over."""
    going = connection.scalars(select(jobs.c.request).where(jobs.c.state.not_in(ENDED)))
    sources = [value for text in going for value in json.loads(text).values() if isinstance(value, dict)]
    return frozenset(str(source["upload"]) for source in sources if "upload" in source)


def counts(connection: Connection) -> Mapping[State, int]:
    """How many jobs there are in each state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return dict(connection.execute(query).all())


def _read(connection: Connection, found: Sequence[RowMapping]) -> list[Job]:
    return [_job(connection, row) for row in found]


def _job(connection: Connection, row: RowMapping) -> Job:
    hidden = ("number", "key", "digest", "worker")
    fields = {name: value for name, value in row.items() if name not in hidden}
    for name in ("request", "error", "result"):
        fields[name] = None if fields[name] is None else json.loads(fields[name])
    return Job(**fields, position=_position(connection, row))


def _position(connection: Connection, row: RowMapping) -> int | None:
    """A job's place among those that wait: the interactive ones first, each lane in the order in which it came."""
    if row["state"] != "queued":
        return None
    ahead = and_(jobs.c.lane == row["lane"], jobs.c.number < row["number"])
    if row["lane"] == "batch":
        ahead = or_(ahead, jobs.c.lane == "interactive")
    return waiting(connection, ahead) + 1


def _tell(connection: Connection, number: int, kind: EventKind, data: Mapping[str, Any]) -> None:
    connection.execute(insert(job_events).values(job=number, kind=kind, json=_text(data)))


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)
