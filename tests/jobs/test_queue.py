"""Jobs are filed once, wait in order, end once, and are never lost on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import Engine, text

from sottovoce import errors
from sottovoce.database.connect import reading
from sottovoce.jobs.job import Job
from sottovoce.jobs.queue import MOST_ATTEMPTS, Queue
from sottovoce.progress import Progress


def workflows(database: Engine) -> dict[str, str]:
    """The state of each job in DBOS's own table."""
    with reading(database) as connection:
        found = connection.execute(text("SELECT workflow_uuid, status FROM workflow_status"))
        return dict(found.all())


def begun(queue: Queue) -> Job:
    """A job that is being worked on."""
    job = queue.begin(queue.submit("generate", {"prompt": "rain"}, lane="batch").id, "here:0")
    assert job is not None
    return job


def test_a_job_is_filed_with_its_workflow(queue: Queue, database: Engine) -> None:
    job = queue.submit("generate", {"prompt": "rain", "duration": 30}, owner="anna", settled={"seed": 7})
    assert (job.state, job.lane, job.owner, job.position, job.attempt) == ("queued", "interactive", "anna", 1, 0)
    assert job.request == {"prompt": "rain", "duration": 30, "seed": 7}
    assert workflows(database) == {job.id: "ENQUEUED"}
    assert queue.get(job.id) == job


def test_what_cannot_be_queued_leaves_no_row(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.submit("mood", {})

    def refuse(*_: object) -> None:
        raise errors.DiskFull("no space")

    monkeypatch.setattr(queue._client, "enqueue_in_transaction", refuse)
    with pytest.raises(errors.DiskFull):
        queue.submit("mood", {"source": 1})
    assert len(queue.list()) == 1
    assert len(queue.events()) == 1


def test_others_do_not_see_it(queue: Queue) -> None:
    job = queue.submit("generate", {"prompt": "rain"}, owner="anna")
    for call in (queue.get, queue.cancel, queue.retry):
        with pytest.raises(errors.JobNotFound):
            call(job.id, owner="bert")
    assert queue.list(owner="bert") == ()
    assert queue.get(job.id, owner="anna") == job


def test_too_many_of_one_owner_are_refused_with_their_place_and_wait(queue: Queue) -> None:
    for _ in range(2):
        queue.submit("generate", {"prompt": "rain"}, owner="anna")
    with pytest.raises(errors.QueueFull, match="max_pending") as refused:
        queue.submit("generate", {"prompt": "rain"}, owner="anna")
    assert refused.value.details == {"position": 3, "wait_seconds": 120}
    queue.submit("generate", {"prompt": "rain"}, owner="bert")
    queue.submit("generate", {"prompt": "rain"}, owner="anna", lane="batch")
    queue.submit("generate", {"prompt": "rain", "versions": 3}, owner="anna")
    queue.submit("separate", {"source": {}}, owner="anna")


def test_interactive_jobs_wait_before_the_batch(queue: Queue) -> None:
    batch = [queue.submit("separate", {"source": {"track": name}}).id for name in "ab"]
    quick = queue.submit("generate", {"prompt": "rain"}).id
    assert queue.get(quick).position == 1
    assert [queue.get(job).position for job in batch] == [2, 3]


def order(queue: Queue) -> list[str]:
    """What waits, in order."""
    waiting = [job for job in queue.list(state="queued") if job.position is not None]
    return [job.id for job in sorted(waiting, key=lambda job: job.position or 0)]


def handed_out(database: Engine) -> list[str]:
    """What waits, in the order in which DBOS hands it out."""
    query = "SELECT workflow_uuid FROM workflow_status WHERE status = 'ENQUEUED' ORDER BY priority, created_at, rowid"
    with reading(database) as connection:
        return list(connection.scalars(text(query)))


def test_what_waits_can_be_put_before_another(queue: Queue, database: Engine) -> None:
    names = {queue.submit("separate", {"source": {"track": name}}).id: name for name in "abcde"}
    a, b, c, d, e = names
    quick = queue.submit("generate", {"prompt": "rain"}).id
    for moved, before, expected in (
        (d, b, "adbce"),
        (e, None, "eadbc"),
        (a, e, "aedbc"),
        (a, c, "edbac"),
        (c, d, "ecdba"),
    ):
        assert queue.move(moved, before).position == expected.index(names[moved]) + 2
        waiting = order(queue)
        assert "".join(names[job] for job in waiting[1:]) == expected
        assert waiting[0] == quick
        assert handed_out(database) == waiting
    assert queue.submit("mood", {}, lane="batch").position == 7


def test_nobody_overtakes_the_jobs_of_others(queue: Queue) -> None:
    first, other, last = (queue.submit("mood", {}, owner=name).id for name in ("anna", "bert", "anna"))
    for before in (first, None):
        with pytest.raises(errors.Forbidden, match="others"):
            queue.move(last, before, owner="anna")
    with pytest.raises(errors.JobNotFound):
        queue.move(last, other, owner="anna")
    assert order(queue) == [first, other, last]
    assert queue.move(other, owner=None).position == 1
    assert order(queue) == [other, first, last]
    assert queue.move(last, first, owner="anna").position == 2


def test_only_what_waits_can_be_moved_and_only_in_its_lane(queue: Queue) -> None:
    running, waiting = begun(queue), queue.submit("mood", {}, lane="batch").id
    for moved, before in ((running.id, None), (waiting, running.id)):
        with pytest.raises(errors.JobEnded, match="running"):
            queue.move(moved, before)
    with pytest.raises(errors.InvalidParameter, match="lane"):
        queue.move(waiting, queue.submit("mood", {}).id)


def test_the_same_key_is_the_same_job(queue: Queue) -> None:
    first = queue.submit("generate", {"prompt": "rain"}, owner="anna", key="k", settled={"seed": 1})
    again = queue.submit("generate", {"prompt": "rain"}, owner="anna", key="k", settled={"seed": 2})
    assert again == first
    with pytest.raises(errors.IdempotencyMismatch, match=first.id):
        queue.submit("generate", {"prompt": "snow"}, owner="anna", key="k")
    assert queue.submit("generate", {"prompt": "snow"}, owner="bert", key="k").id != first.id


def test_lists_are_paged_and_filtered(queue: Queue) -> None:
    made = [queue.submit("mood", {"source": {"track": str(number)}}).id for number in range(5)]
    queue.cancel(made[0])
    first = queue.list(limit=3)
    assert [job.id for job in first] == made[:1:-1]
    assert [job.id for job in queue.list(limit=3, after=first[-1].id)] == made[1::-1]
    assert [job.id for job in queue.list(state="cancelled")] == made[:1]
    assert queue.list(kind="score") == ()
    assert queue.counts() == {"queued": 4, "cancelled": 1}


def test_what_is_cancelled_never_begins(queue: Queue, database: Engine) -> None:
    job = queue.submit("generate", {"prompt": "rain"})
    assert queue.cancel(job.id).state == "cancelled"
    assert queue.begin(job.id, "here:0") is None
    assert workflows(database) == {job.id: "CANCELLED"}
    with pytest.raises(errors.JobEnded, match="cancelled"):
        queue.cancel(job.id)


def test_an_attempt_reports_and_ends_once(queue: Queue) -> None:
    job = begun(queue)
    assert (job.state, job.attempt, job.position) == ("running", 1, None)
    assert queue.progress(job, Progress("render", 40.0, 2, 5, 9.0))
    now = queue.get(job.id)
    assert (now.percent, now.stage, now.step, now.total, now.eta) == (40.0, "render", 2, 5, 9.0)
    assert queue.finish(job, {"tracks": ["t"]})
    done = queue.get(job.id)
    assert (done.state, done.percent, done.result) == ("done", 100.0, {"tracks": ["t"]})
    assert not queue.finish(job, {"tracks": ["other"]})
    assert not queue.fail(job, errors.Internal("late"))
    assert queue.get(job.id) == done


def test_progress_is_never_whole_before_the_end(queue: Queue) -> None:
    job = begun(queue)
    queue.progress(job, Progress("publish", 100.0))
    assert queue.get(job.id).percent == 99.0


def test_a_late_attempt_does_not_count(queue: Queue) -> None:
    first = begun(queue)
    second = queue.begin(first.id, "there:0")
    assert second is not None
    assert second.attempt == 2
    assert not queue.counts_still(first)
    assert queue.counts_still(second)
    assert not queue.progress(first, Progress("render", 90.0))
    assert not queue.finish(first, {"tracks": ["late"]})
    assert queue.finish(second, {"tracks": ["right"]})
    assert queue.get(first.id).result == {"tracks": ["right"]}


def test_a_cancelled_attempt_cannot_publish(queue: Queue) -> None:
    job = begun(queue)
    queue.cancel(job.id)
    assert not queue.counts_still(job)
    assert not queue.finish(job, {"tracks": []})
    assert queue.get(job.id).state == "cancelled"


def test_a_job_that_kills_its_workers_is_given_up(queue: Queue) -> None:
    job = queue.submit("generate", {"prompt": "rain"})
    for _ in range(MOST_ATTEMPTS):
        assert queue.begin(job.id, "here:0") is not None
    assert queue.begin(job.id, "here:0") is None
    failed = queue.get(job.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert "3 times" in failed.error["message"]


def test_events_tell_it_all_in_order(queue: Queue) -> None:
    job, other = begun(queue), begun(queue)
    queue.progress(job, Progress("render", 40.0))
    queue.fail(job, errors.OutOfMemory("too big", hint="less"))
    told = queue.events(job=job.id)
    assert [event.kind for event in told] == ["queued", "running", "progress", "failed"]
    assert told[-1].data["error"]["code"] == "OUT_OF_MEMORY"
    everything = queue.events()
    assert {event.job for event in everything} == {job.id, other.id}
    assert all(one.seq < next_.seq for one, next_ in pairwise(everything))
    assert queue.events(after=everything[2].seq) == everything[3:]


def test_retrying_is_a_new_job_with_the_same_request(queue: Queue) -> None:
    job = queue.submit("generate", {"prompt": "rain"}, owner="anna", settled={"seed": 3})
    queue.cancel(job.id)
    again = queue.retry(job.id)
    assert again.id != job.id
    assert (again.request, again.owner, again.lane) == (job.request, job.owner, job.lane)


def test_old_jobs_are_forgotten_and_waiting_ones_never(queue: Queue, database: Engine) -> None:
    over = queue.submit("mood", {"source": {"upload": "old"}}).id
    waiting = queue.submit("mood", {"source": {"upload": "wanted"}}).id
    queue.cancel(over)
    assert queue.forget(1) == ()
    assert queue.forget(0) == (over,)
    assert [job.id for job in queue.list()] == [waiting]
    assert {event.job for event in queue.events()} == {waiting}
    assert set(workflows(database)) == {waiting}
    assert queue.uploads_needed() == {"wanted"}


def test_an_attempt_that_is_given_up_without_blame_waits_again(queue: Queue, database: Engine) -> None:
    job = begun(queue)
    assert queue.release(job)
    again = queue.get(job.id)
    assert (again.state, again.attempt, again.position) == ("queued", 0, 1)
    assert sorted(workflows(database).values()) == ["ENQUEUED", "ENQUEUED"]
    assert not queue.release(job)
    queue.cancel(job.id)
    assert queue.begin(job.id, "here:0") is None
    queue.forget(0)
    assert workflows(database) == {}
