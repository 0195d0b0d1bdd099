"""Queue: jobs are filed, found, cancelled and handed out; DBOS Transact, which keeps what is not yet done through any crash, stays in here.

A job is a row of ours, which is shown, and a DBOS workflow of the same id, which is run; both are committed in one transaction. Only a host
`listen`s: whoever else files jobs uses DBOS's client, since a process that launches DBOS takes work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, column, inspect, or_, table, update

from sottovoce import errors
from sottovoce.database.connect import reading, writing
from sottovoce.database.schema import jobs
from sottovoce.jobs import rows
from sottovoce.jobs.events import Event
from sottovoce.jobs.job import Estimate, Job, Lane, State, lane_of
from sottovoce.progress import Progress

if TYPE_CHECKING:
    from dbos import DBOSClient

#: After so many deaths of its runner or host a job is held to be what kills them.
MOST_ATTEMPTS = 3
#: Raised by hand when the stored form of a job changes: otherwise an update would leave the waiting jobs behind.
_VERSION = "1"
_APPLICATION, _QUEUE, _WORKFLOW = "sottovoce", "jobs", "work"
#: DBOS's own limit only has to be beyond ours, which ends the job with a reason.
_DBOS_ATTEMPTS = 3 * MOST_ATTEMPTS
#: Where the jobs of a lane begin among all that wait; between the lanes lies more than any job can be moved. DBOS calls it priority.
_RANKS: Mapping[Lane, int] = {"interactive": 1_000_000_000, "batch": 2_000_000_000}
#: DBOS's own row of what waits.
_WORKFLOWS = table("workflow_status", column("workflow_uuid"), column("priority"), column("status"))
#: Polling five times a second would cost 3.6 % of a core.
_POLL_SECONDS = 1.0
#: How long what was begun may take to be put back when a host ends.
_GRACE_SECONDS = 5
_LOCK = threading.Lock()


class Queue:
    """The jobs of a library. Several processes and threads may use one at once."""

    def __init__(self, database: Engine, *, max_pending: int = 5) -> None:
        self._database = database
        self._max_pending = max_pending

    def submit(
        self,
        kind: str,
        request: Mapping[str, Any],
        *,
        owner: str = "",
        lane: Lane | None = None,
        key: str | None = None,
        settled: Mapping[str, Any] | None = None,
        most: int | None = None,
    ) -> Job:
        """File a job. With a `key` the same request of the same owner is the same job, and IdempotencyMismatch is raised for another one.

        `settled` is what was chosen just now and left open by the request, such as a seed: every attempt is to use it. QueueFull if `most`
        jobs of this kind, lane and owner wait already; without it, the limit is that of the settings for interactive pieces.
        """
        lane = lane or lane_of(kind, request)
        digest = hashlib.sha256(f"{kind}\n{_json(request)}".encode()).hexdigest()
        self._prepare()
        with writing(self._database) as connection:
            earlier = None if key is None else rows.find(connection, jobs.c.owner == owner, jobs.c.key == key)
            if earlier is not None:
                return _same(connection, earlier, digest)
            if most is None and (kind, lane) == ("generate", "interactive"):
                most = self._max_pending
            if most is not None:
                _admit(connection, kind, owner, lane, most=most)
            name = secrets.token_hex(8)
            rows.put(
                connection,
                {
                    "id": name, "owner": owner, "kind": kind, "lane": lane, "rank": _RANKS[lane], "state": "queued", "key": key,
                    "request": _json({**request, **(settled or {})}),
                    "digest": digest, "percent": 0.0, "attempt": 0, "created": rows.now(),
                },
            )  # fmt: skip
            self._enqueue(connection, name)
        return self.get(name)

    def estimate(
        self, kind: str, request: Mapping[str, Any], sound: float | None, lane: Lane | None = None
    ) -> Estimate:
        """What a request would take that is about so many seconds of sound (None: not known), from the jobs that were done here."""
        lane = lane or lane_of(kind, request)
        with reading(self._database) as connection:
            paces = rows.paces(connection, kind, str(request.get("engine") or "auto"))
            ahead = rows.waiting(connection, jobs.c.rank <= _RANKS[lane])
            wait = ahead * rows.usual_seconds(connection, kind)
        work = median(pace for pace, _ in paces) * sound if paces and sound is not None else None
        return Estimate(work, len(paces), paces[0][1] if paces else None, ahead + 1, wait)

    def get(self, job: str, *, owner: str | None = None) -> Job:
        """One job, of that owner if one is named; JobNotFound if there is none."""
        with reading(self._database) as connection:
            found = rows.find(connection, jobs.c.id == job, *_of(owner))
        if found is None:
            raise errors.JobNotFound(f"there is no job {job:.40}")
        return found

    def list(
        self,
        *,
        owner: str | None = None,
        state: State | None = None,
        kind: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[Job, ...]:
        """Jobs, the newest first; `after` is the id of the last one seen."""
        conditions = [*_of(owner)]
        conditions += [jobs.c.state == state] if state else []
        conditions += [jobs.c.kind == kind] if kind else []
        with reading(self._database) as connection:
            return rows.page(connection, conditions, limit=limit, after=after)

    def counts(self) -> Mapping[State, int]:
        """How many jobs there are in each state."""
        with reading(self._database) as connection:
            return rows.counts(connection)

    def uploads_needed(self) -> frozenset[str]:
        """The uploads that jobs name which are not over."""
        with reading(self._database) as connection:
            return rows.uploads_named(connection)

    def cancel(self, job: str, *, owner: str | None = None) -> Job:
        """Stop a job, or let it not begin; JobEnded if it is over. A host that runs it sees it within a moment and stops the work."""
        before = self.get(job, owner=owner)
        with writing(self._database) as connection:
            fields = {"state": "cancelled", "ended": rows.now(), "eta": None}
            stopped = rows.change(connection, job, "cancelled", fields, jobs.c.state.in_(("queued", "running")))
        if not stopped:
            raise errors.JobEnded(
                f"job {job} has ended ({self.get(job).state}), so it cannot be cancelled",
                hint=f"`sotto jobs show {job}` says what came of it.",
            )
        # The workflow of a running job ends with the work itself.
        if before.state == "queued":
            self._client.cancel_workflow(job)
        return self.get(job)

    def retry(self, job: str, *, owner: str | None = None) -> Job:
        """A new job with the same request, of the same owner."""
        earlier = self.get(job, owner=owner)
        return self.submit(earlier.kind, earlier.request, owner=earlier.owner, lane=earlier.lane)

    def move(self, job: str, before: str | None = None, *, owner: str | None = None) -> Job:
        """Have a waiting job begin before another of its lane, or before all of them; JobEnded if either waits no more.

        An owner's job may not overtake what is someone else's: Forbidden.
        """
        self._prepare()
        with writing(self._database) as connection:
            moved, target = rows.waits(connection, job, *_of(owner)), None
            if before is not None:
                target = rows.waits(connection, before, *_of(owner))
                _check_lane(moved, target)
            overtaken = rows.overtaken(connection, moved, target)
            if owner is not None and any(each.owner != owner for each in overtaken):
                raise errors.Forbidden(
                    "the job would overtake jobs of others", hint="An administrator may move any job of the queue."
                )
            for name, rank in rows.move(connection, moved, target).items():
                waiting = and_(_WORKFLOWS.c.status == "ENQUEUED", _is_of(name))
                connection.execute(update(_WORKFLOWS).where(waiting).values(priority=rank))
        return self.get(job)

    def events(self, *, after: int = 0, job: str | None = None, limit: int = 1000) -> tuple[Event, ...]:
        """What happened after the event with the number `after`, oldest first: to one job, or to all."""
        with reading(self._database) as connection:
            return rows.read_events(connection, after=after, job=job, limit=limit)

    def begin(self, job: str, worker: str) -> Job | None:
        """Take a job to work on it, as a new attempt; None if there is nothing to do any more.

        A job whose attempts have all ended with the death of its runner fails here, so that the queue goes on.
        """
        with writing(self._database) as connection:
            found = rows.find(connection, jobs.c.id == job)
            if found is None or found.over:
                return None
            if found.attempt >= MOST_ATTEMPTS:
                rows.change(connection, job, "failed", _failure(_poison(found)))
                return None
            fields = {"state": "running", "attempt": found.attempt + 1, "worker": worker, "started": rows.now()}
            rows.change(connection, job, "running", fields)
        return self.get(job)

    def progress(self, job: Job, progress: Progress) -> bool:
        """Keep how far an attempt is; False if it is not the one that counts any more, and is to be stopped."""
        fields = asdict(progress) | {"percent": min(progress.percent, 99.0)}
        return self._during(job, "progress", fields)

    def counts_still(self, job: Job) -> bool:
        """Whether an attempt is the one that counts: not cancelled, not taken over."""
        with reading(self._database) as connection:
            return rows.find(connection, jobs.c.id == job.id, *_attempt(job)) is not None

    def finish(self, job: Job, result: Mapping[str, Any]) -> bool:
        """An attempt has been published; False if it is not the one that counts any more."""
        fields = {"state": "done", "percent": 100.0, "eta": None, "result": result, "ended": rows.now()}
        return self._during(job, "done", fields)

    def fail(self, job: Job, error: errors.SottovoceError) -> bool:
        """An attempt has failed for good; False if it is not the one that counts any more."""
        return self._during(job, "failed", _failure(error))

    def release(self, job: Job) -> bool:
        """Give an attempt up without blame, since its host is to end: the job waits again. False if it does not count any more."""
        self._prepare()
        with writing(self._database) as connection:
            fields = {"state": "queued", "attempt": job.attempt - 1, "percent": 0.0, "stage": None, "eta": None}
            released = rows.change(connection, job.id, "queued", fields, *_attempt(job))
            if released:
                # The workflow that began it ends with its host, so the job gets another.
                self._enqueue(connection, job.id, again=True)
        return released

    def forget(self, days: float) -> tuple[str, ...]:
        """Remove what ended so many days ago; the ids of the jobs."""
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
        with writing(self._database) as connection:
            ids = rows.forget(connection, before)
        if ids:
            found = self._client.list_workflows(workflow_id_prefix=[*ids], load_input=False, load_output=False)
            self._client.delete_workflows([workflow.workflow_id for workflow in found])
        return ids

    def close(self) -> None:
        """Give the connections back."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.destroy()

    def _during(self, job: Job, event: Any, fields: Mapping[str, Any]) -> bool:
        with writing(self._database) as connection:
            return rows.change(connection, job.id, event, fields, *_attempt(job))

    def _enqueue(self, connection: Connection, job: str, *, again: bool = False) -> None:
        name = f"{job}-{secrets.token_hex(4)}" if again else job
        self._client.enqueue_in_transaction(
            connection,
            {
                "queue_name": _QUEUE, "workflow_name": _WORKFLOW, "workflow_id": name, "app_version": _VERSION,
                "priority": rows.rank(connection, job),
            },
            job,
        )  # fmt: skip

    def _prepare(self) -> None:
        """Have DBOS's client ready before a transaction, in which it could not make its tables."""
        self._client  # noqa: B018

    @cached_property
    def _client(self) -> DBOSClient:
        """DBOS's client; the tables it needs are made first."""
        from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

        logging.getLogger("dbos").setLevel(logging.WARNING)
        with _LOCK:
            if not inspect(self._database).has_table("dbos_migrations"):
                DBOS.migrate(self._url)
        return DBOSClient(
            system_database_url=self._url,
            serializer=DBOSPortableJSONSerializer(),
            application_name=_APPLICATION,
            lazy=True,
        )

    @property
    def _url(self) -> str:
        return self._database.url.render_as_string(hide_password=False)

    def listen(self, executor: str, slots: int, work: Callable[[str], None]) -> Callable[[], None]:
        """Hand jobs to `work(job)`, `slots` at a time, in threads of this process; the function that ends it comes back.

        `executor` names this host's place and must be one process's alone: what it left unfinished is handed out again.
        """
        from dbos import DBOS, DBOSPortableJSONSerializer

        DBOS(
            config={
                "name": _APPLICATION,
                "system_database_url": self._url,
                "application_version": _VERSION,
                "executor_id": executor,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "use_listen_notify": False,
            }
        )

        def run(job: str) -> None:
            work(job)

        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_DBOS_ATTEMPTS)(run)
        DBOS.launch()
        DBOS.register_queue(_QUEUE, worker_concurrency=slots, polling_interval_sec=_POLL_SECONDS)
        return lambda: DBOS.destroy(workflow_completion_timeout_sec=_GRACE_SECONDS)

    def take_over(self, executors: Sequence[str]) -> int:
        """Hand out again what hosts that are gone left unfinished; how many jobs that were."""
        if not executors:
            return 0
        left = self._client.list_workflows(executor_id=[*executors], status="PENDING", load_input=False)
        ids = [workflow.workflow_id for workflow in left]
        if ids:
            self._client.resume_workflows(ids, queue_name=_QUEUE)
        return len(ids)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _admit(connection: Connection, kind: str, owner: str, lane: Lane, *, most: int) -> None:
    """QueueFull unless fewer than `most` such jobs of this owner wait."""
    theirs = rows.waiting(connection, jobs.c.owner == owner, jobs.c.kind == kind, jobs.c.lane == lane)
    if theirs < most:
        return
    ahead = rows.waiting(connection, jobs.c.lane == lane)
    wait = round(ahead * rows.usual_seconds(connection, kind))
    limit, more = (
        ("the dialect's own", "") if lane == "batch" else ("jobs.max_pending", ", or submit it with the batch lane")
    )
    raise errors.QueueFull(
        f"{theirs} pieces wait already, which is the most ({limit}); yours would be number {ahead + 1}, in about {wait} s",
        hint=f"Wait for one to be done, or cancel one{more}.",
        details={"position": ahead + 1, "wait_seconds": wait},
    )


def _same(connection: Connection, earlier: Job, digest: str) -> Job:
    """The job a key was used for, if it was for the same request."""
    known = rows.find(connection, jobs.c.id == earlier.id, jobs.c.digest == digest)
    if known is None:
        raise errors.IdempotencyMismatch(
            f"that key was used for another request (job {earlier.id})", hint="Use a new key for a new request."
        )
    return known


def _check_lane(moved: Job, target: Job) -> None:
    if moved.lane != target.lane:
        raise errors.InvalidParameter(
            f"job {moved.id} waits in the lane {moved.lane}, job {target.id} in the lane {target.lane}",
            hint="Name a job of the same lane.",
        )


def _is_of(job: str) -> ColumnElement[bool]:
    """Whether a workflow is a job's: the first one has its name, those after it that and more."""
    return or_(_WORKFLOWS.c.workflow_uuid == job, _WORKFLOWS.c.workflow_uuid.like(f"{job}-%"))


def _of(owner: str | None) -> tuple[Any, ...]:
    return () if owner is None else (jobs.c.owner == owner,)


def _attempt(job: Job) -> tuple[Any, ...]:
    return (jobs.c.state == "running", jobs.c.attempt == job.attempt)


def _failure(error: errors.SottovoceError) -> Mapping[str, Any]:
    return {"state": "failed", "error": error.as_dict(), "ended": rows.now(), "eta": None}


def _poison(job: Job) -> errors.SottovoceError:
    return errors.Internal(
        f"the work died {job.attempt} times without a word, so it was given up",
        hint="Often the memory does not suffice: try a shorter piece, another engine, or a machine with more.",
    )
