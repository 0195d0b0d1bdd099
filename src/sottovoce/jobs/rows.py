"""Jobs and their events as rows: read and written inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, not_, or_, select, update

from sottovoce import errors
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
    taken = [run.seconds for run in _recent(connection, jobs.c.kind == kind)]
    return median(taken) if taken else _UNKNOWN_SECONDS


def paces(connection: Connection, kind: str, engine: str) -> tuple[tuple[float, str], ...]:
    """Of the last jobs of a kind with which that engine (or `auto`) was asked for, the newest first: seconds of work per second of sound, engine."""
    asked = func.coalesce(func.json_extract(jobs.c.request, "$.engine"), "auto") == engine
    found = _recent(connection, jobs.c.kind == kind, asked)
    return tuple((run.seconds / run.sound, run.engine) for run in found if run.sound > 0)


@dataclass(frozen=True)
class _Run:
    """A job that was done: how long it took, of how much sound, by which engine."""

    seconds: float
    sound: float
    engine: str


def _recent(connection: Connection, *conditions: ColumnElement[bool]) -> list[_Run]:
    query = select(jobs.c.started, jobs.c.ended, jobs.c.result).where(jobs.c.state == "done", *conditions)
    found = connection.execute(query.order_by(jobs.c.number.desc()).limit(_RECENT)).all()
    return [_run(*row) for row in found]


def _run(started: str, ended: str, text: str) -> _Run:
    result = json.loads(text)
    taken = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    engine = result.get("report", {}).get("engine")
    return _Run(taken.total_seconds(), result.get("sound_seconds") or 0.0, str(engine))


def rank(connection: Connection, job: str) -> int:
    """Where a job stands in the queue, the lowest first."""
    return int(connection.execute(select(jobs.c.rank).where(jobs.c.id == job)).scalar_one())


def waits(connection: Connection, job: str, *conditions: ColumnElement[bool]) -> Job:
    """A job that waits; JobNotFound or JobEnded if there is none, or it does not wait."""
    found = find(connection, jobs.c.id == job, *conditions)
    if found is None:
        raise errors.JobNotFound(f"there is no job {job:.40}")
    if found.state != "queued":
        raise errors.JobEnded(f"job {job} does not wait, it is {found.state}", hint="Only what waits can be moved.")
    return found


def overtaken(connection: Connection, moved: Job, target: Job | None) -> tuple[Job, ...]:
    """The waiting jobs that one would overtake on its way before another, or to the front of its lane."""
    ahead = [_before(_row(connection, moved.id)), jobs.c.lane == moved.lane]
    if target is not None:
        ahead.append(not_(_before(_row(connection, target.id))))
    query = select(jobs).where(jobs.c.state == "queued", *ahead)
    return tuple(_read(connection, connection.execute(query).mappings().all()))


def move(connection: Connection, moved: Job, target: Job | None) -> Mapping[str, int]:
    """Put a waiting job before another, or at the front of its lane; the new ranks of all jobs that got one."""
    lane = and_(jobs.c.state == "queued", jobs.c.lane == moved.lane)
    if target is None:
        first = connection.scalar(select(func.min(jobs.c.rank)).where(lane))
        return _ranked(connection, {moved.id: int(first or 0) - 1})
    row = _row(connection, target.id)
    # What is ahead makes room for one, in the order it has.
    ahead = connection.execute(select(jobs.c.id, jobs.c.rank).where(lane, _before(row), jobs.c.id != moved.id)).all()
    return _ranked(connection, {**{name: old - 2 for name, old in ahead}, moved.id: row["rank"] - 1})


def _ranked(connection: Connection, ranks: Mapping[str, int]) -> Mapping[str, int]:
    for name, place in ranks.items():
        connection.execute(update(jobs).where(jobs.c.id == name).values(rank=place))
    return ranks


def _row(connection: Connection, job: str) -> RowMapping:
    return connection.execute(select(jobs).where(jobs.c.id == job)).mappings().one()


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
    hidden = ("number", "rank", "key", "digest", "worker")
    fields = {name: value for name, value in row.items() if name not in hidden}
    for name in ("request", "error", "result"):
        fields[name] = None if fields[name] is None else json.loads(fields[name])
    return Job(**fields, position=_position(connection, row))


def _position(connection: Connection, row: RowMapping) -> int | None:
    """A job's place among those that wait."""
    return waiting(connection, _before(row)) + 1 if row["state"] == "queued" else None


def _before(row: RowMapping) -> ColumnElement[bool]:
    """The jobs that go before one, if they wait as it does: its lane is in the rank."""
    return or_(jobs.c.rank < row["rank"], and_(jobs.c.rank == row["rank"], jobs.c.number < row["number"]))


def _tell(connection: Connection, number: int, kind: EventKind, data: Mapping[str, Any]) -> None:
    connection.execute(insert(job_events).values(job=number, kind=kind, json=_text(data)))


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)
