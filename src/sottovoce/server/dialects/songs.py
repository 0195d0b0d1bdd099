"""Songs that come along with the wish to separate them: nobody is told their id, so they go as soon as the job has ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sottovoce import errors
from sottovoce.jobs.job import Job
from sottovoce.library.uploads import Limit
from sottovoce.media.draft import writing
from sottovoce.server.access import Caller
from sottovoce.server.asked import House
from sottovoce.server.body import ArrivingFile
from sottovoce.studio import Studio
from sottovoce.tasks.separate import Separate

#: So many separations, or pieces, that came by a dialect may wait for one owner.
MOST_WAITING = 200
#: How a song comes, for the documentation.
_FIELDS = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
}
FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FIELDS}}}}
#: Beside a job's files: the upload that is its alone.
_MARK = ".upload"


def file_song(
    house: House, caller: Caller, song: ArrivingFile, *, limit: Limit, fields: Mapping[str, Any] | None = None
) -> Job:
    """Receive a song and file its separation into WAV files; the errors of uploads and of the queue, and nothing is kept then."""
    studio = house.studio
    upload = studio.uploads.add(song, song.name, limit, owner=caller.owner).id
    try:
        wish = {"source": {"upload": upload}, "format": "wav", **(fields or {})}
        request = studio.request(Separate, wish, local=False, settings=studio.settings_of(caller.owner))
        job = studio.submit(request, owner=caller.owner, lane="batch", most=MOST_WAITING)
        _mark(studio.job_folder(job.id) / _MARK, upload)
    except BaseException:
        studio.uploads.remove(upload)
        raise
    return job


def drop_song(studio: Studio, job: Job) -> bool:
    """Delete the song that came with a job, if that has ended; whether there was one."""
    mark = studio.job_folder(job.id) / _MARK
    if not job.over:
        return False
    try:
        upload = mark.read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    # Several may ask after the job at once.
    with suppress(errors.UploadNotFound):
        studio.uploads.remove(upload)
    mark.unlink(missing_ok=True)
    return True


def drop_songs(studio: Studio) -> int:
    """Delete the songs of all jobs that have ended, also of those that nobody asked after; how many went."""
    marks = studio.job_folder("").glob(f"*/{_MARK}")
    return sum(drop_song(studio, job) for mark in marks if (job := _job(studio, mark.parent.name)) is not None)


def _mark(mark: Path, upload: str) -> None:
    with writing(mark):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(upload, encoding="ascii")


def _job(studio: Studio, name: str) -> Job | None:
    try:
        return studio.queue.get(name)
    except errors.JobNotFound:
        return None
