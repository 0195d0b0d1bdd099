"""Every error the studio raises on purpose, and what each surface says of it.

    SottovoceError
    ├── RequestError                refused before any work
    │   ├── InvalidDuration  InvalidPrompt  InvalidParameter  InvalidBackend
    │   └── InvalidInferenceSteps  InvalidGuidanceScale  InvalidScheduler
    ├── InputError                  the file that came in
    │   └── UnsupportedFormat  CorruptMedia  AudioTooLong  FileTooLarge  InputUnreadable
    ├── EngineError                 the engine that did the work
    │   ├── BackendNotInstalled  ModelNotFound  ModelLoadFailed  ModelDownloadFailed
    │   ├── ModelInferenceFailed  OutputRejected  OutOfMemory  TimedOut
    │   └── RemoteFailed  QuotaExceeded  LicenceNotAccepted  WeightsRefused
    ├── QueueError
    │   └── QueueFull  RateLimited  JobEnded  IdempotencyMismatch
    ├── NotFound
    │   └── JobNotFound  TrackNotFound  UploadNotFound  StemNotFound
    ├── AccessError
    │   └── Unauthorized  Forbidden
    ├── StorageError
    │   └── OutputNotWritable  DiskFull  LibraryBusy  LibraryInUse
    ├── Internal                    a bug of ours
    └── Cancelled                   asked for

A message says what is wrong and what to do about it; `hint` adds the command or value that cures it where that helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar


class SottovoceError(Exception):
    """Base of all errors; `code`, `http`, `rpc` and `exit_code` are what the surfaces answer with."""

    code: ClassVar[str] = "INTERNAL"
    http: ClassVar[int] = 500
    rpc: ClassVar[int] = -32603
    exit_code: ClassVar[int] = 1
    cure: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.cure if hint is None else hint
        self.details = details or {}

    def as_dict(self) -> dict[str, Any]:
        """The body every surface sends: code, message, hint, details."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}


class RequestError(SottovoceError):
    """The request cannot be done as asked; nothing was started."""

    code, http, rpc, exit_code = "INVALID_PARAMETER", 422, -32602, 2


class InvalidParameter(RequestError):
    """A value is out of range, of the wrong kind, or unknown."""


class InvalidDuration(RequestError):
    """The length is out of range."""

    code, rpc = "INVALID_DURATION", -32005


class InvalidPrompt(RequestError):
    """The prompt is empty or too long."""

    code, rpc = "INVALID_PROMPT", -32006


class InvalidBackend(RequestError):
    """No engine has that name."""

    code, rpc = "INVALID_BACKEND", -32007


class InvalidInferenceSteps(RequestError):
    """The number of steps is out of the model's range."""

    code, rpc = "INVALID_INFERENCE_STEPS", -32009


class InvalidGuidanceScale(RequestError):
    """The guidance is out of the model's range."""

    code, rpc = "INVALID_GUIDANCE_SCALE", -32010


class InvalidScheduler(RequestError):
    """The model has no such scheduler."""

    code, rpc = "INVALID_SCHEDULER", -32011


class InputError(SottovoceError):
    """The file that came in cannot be used."""

    code, http, rpc, exit_code = "CORRUPT_MEDIA", 400, -32602, 2


class UnsupportedFormat(InputError):
    """Not a format that can be read, or written."""

    code = "UNSUPPORTED_FORMAT"


class CorruptMedia(InputError):
    """The file claims a format but cannot be decoded."""


class AudioTooLong(InputError):
    """Longer than the configured limit."""

    code, http = "AUDIO_TOO_LONG", 413


class FileTooLarge(InputError):
    """More bytes than the configured limit."""

    code, http = "FILE_TOO_LARGE", 413


class InputUnreadable(InputError):
    """The file is missing, vanished, is a folder, or may not be read."""

    code = "INPUT_UNREADABLE"


class EngineError(SottovoceError):
    """An engine could not do its work."""

    code, rpc = "MODEL_INFERENCE_FAILED", -32003


class BackendNotInstalled(EngineError):
    """The engine's packages or address are missing."""

    code, http, rpc = "BACKEND_NOT_INSTALLED", 409, -32008


class ModelNotFound(EngineError):
    """The model's files are not here."""

    code, http, rpc = "MODEL_NOT_FOUND", 409, -32000


class ModelLoadFailed(EngineError):
    """The model could not be loaded: memory, or damaged files."""

    code, http, rpc = "MODEL_LOAD_FAILED", 503, -32001
    cure = "Run `sotto models verify`."


class ModelDownloadFailed(EngineError):
    """A download broke off; asking again goes on where it stopped."""

    code, http, rpc = "MODEL_DOWNLOAD_FAILED", 502, -32002


class ModelInferenceFailed(EngineError):
    """The model's result cannot be used."""

    cure = "Try another --seed."


class OutputRejected(EngineError):
    """The finished audio failed its inspection."""

    code = "OUTPUT_REJECTED"
    cure = "Try another --seed, or --engine composer."


class OutOfMemory(EngineError):
    """Not enough memory; the message says what was needed."""

    code, http = "OUT_OF_MEMORY", 503


class TimedOut(EngineError):
    """No progress for too long, or over its budget."""

    code, http = "TIMED_OUT", 504


class RemoteFailed(EngineError):
    """A remote engine failed; the message has its own words."""

    code, http = "REMOTE_FAILED", 502


class QuotaExceeded(EngineError):
    """A paid engine has no minutes left."""

    code, http = "QUOTA_EXCEEDED", 402


class LicenceNotAccepted(EngineError):
    """The weights' licence needs an explicit yes."""

    code, http, rpc = "LICENCE_NOT_ACCEPTED", 409, -32001


class WeightsRefused(EngineError):
    """The weights are of a kind that could run code."""

    code, http, rpc = "WEIGHTS_REFUSED", 422, -32001


class QueueError(SottovoceError):
    """The queue cannot take or change the job."""

    code, http, rpc = "QUEUE_FULL", 429, -32004


class QueueFull(QueueError):
    """Too many jobs of this owner wait already."""


class RateLimited(QueueError):
    """Too many requests in a minute."""

    code = "RATE_LIMITED"


class JobEnded(QueueError):
    """The job has ended and cannot be cancelled."""

    code, http, rpc = "JOB_ENDED", 409, -32602


class IdempotencyMismatch(QueueError):
    """The same Idempotency-Key came with another body."""

    code, http, rpc = "IDEMPOTENCY_MISMATCH", 422, -32602


class NotFound(SottovoceError):
    """No such thing, or not yours."""

    code, http, rpc = "TRACK_NOT_FOUND", 404, -32602


class JobNotFound(NotFound):
    """No such job."""

    code = "JOB_NOT_FOUND"
    cure = "`sotto jobs list` shows the jobs there are."


class TrackNotFound(NotFound):
    """No such track."""

    cure = "`sotto library list` shows the tracks there are."


class UploadNotFound(NotFound):
    """No such upload."""

    code = "UPLOAD_NOT_FOUND"


class StemNotFound(NotFound):
    """The track has no such stem."""

    code = "STEM_NOT_FOUND"


class AccessError(SottovoceError):
    """The caller may not do this."""

    code, http = "FORBIDDEN", 403


class Unauthorized(AccessError):
    """No token, or a wrong one."""

    code, http = "UNAUTHORIZED", 401


class Forbidden(AccessError):
    """The token does not allow this."""


class StorageError(SottovoceError):
    """A place on disk cannot be used; nothing half-written is visible."""

    code = "OUTPUT_NOT_WRITABLE"


class OutputNotWritable(StorageError):
    """The output's folder is missing or may not be written to."""


class DiskFull(StorageError):
    """No space left where the output or the library lies."""

    code, http = "DISK_FULL", 507
    cure = "Free some space, or choose another place with -o or library.directory, and run it again."


class LibraryBusy(StorageError):
    """Another process holds the library's database for too long."""

    code, http = "LIBRARY_BUSY", 503


class LibraryInUse(StorageError):
    """Another server holds this library."""

    code, http = "LIBRARY_IN_USE", 503


class Internal(SottovoceError):
    """A bug of ours; the log has its trace under the id in `details`."""


class Cancelled(SottovoceError):
    """The work was stopped because someone asked for it."""

    code, http, rpc, exit_code = "CANCELLED", 409, -32012, 130


def catalogue() -> dict[str, type[SottovoceError]]:
    """Every code once, with the class that is raised with it: of a base and its child that share a code, the child.

    What engines derive for themselves is none of it.
    """
    return {kind.code: kind for kind in _tree(SottovoceError) if kind.__module__ == __name__}


def _tree(root: type[SottovoceError]) -> Iterator[type[SottovoceError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)
