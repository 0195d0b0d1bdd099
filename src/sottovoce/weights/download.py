"""Files from a hub, byte by byte: resumed where they broke off, and never taken under another size or hash than they must have."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce import errors
from sottovoce.weights.manifest import Model, ModelFile, is_name, is_sha256

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
#: How often a download may stop without a byte gained before it is given up.
TRIES = 5
#: What stays free on the disk after a pull.
SPARE_BYTES = 64 << 20
_PIECE = 1 << 20
_LONGEST_WAIT = 30.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

#: Called with how many bytes of a file are here, and of how many if that is known; raising from it stops the download.
OnBytes = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Hub:
    """Where models are published: Hugging Face, or a mirror of it at `endpoint`. There is never a second source."""

    endpoint: str = HUB
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def head(self, repository: str) -> str:
        """The revision a repository is at now; ModelDownloadFailed if the hub does not say."""
        return self._commit(self._described(repository, "main"), repository)

    def listing(self, repository: str, revision: str) -> tuple[ModelFile, ...]:
        """The files of a repository at a revision, with their sizes and hashes as far as the hub tells them."""
        answer = self._described(repository, revision)
        commit = self._commit(answer, repository)
        if commit != revision:
            raise self._failed(f"{repository} answered with revision {commit} where {revision} was asked for")
        return tuple(_listed(entry) for entry in answer.json().get("siblings", ()) if is_name(entry["rfilename"]))

    def _described(self, repository: str, revision: str) -> httpx.Response:
        """What the hub says of a repository."""
        import httpx

        url = f"{self.endpoint.rstrip('/')}/api/models/{repository}/revision/{revision}?blobs=true"
        with _client() as client:
            for attempt in range(TRIES):
                try:
                    answer = client.get(url)
                except httpx.TransportError as error:
                    reason = _words(error)
                else:
                    if answer.status_code not in _BUSY:
                        return answer
                    reason = f"it answered {answer.status_code}"
                self.sleep(min(_LONGEST_WAIT, 2.0**attempt))
        raise self._failed(f"{repository} cannot be looked up at {self.endpoint}: {reason}")

    def fetch(self, model: Model, file: ModelFile, target: Path, on_bytes: OnBytes) -> ModelFile:
        """Put a file of a model (whose revision is known) at `target`, whole and with the right hash; its size and hash.

        What came so far stays beside it as `.part`, and the next call goes on from there. ModelDownloadFailed or DiskFull.
        """
        import httpx

        part, idle, expected = _Part(target), 0, file
        with _client() as client:
            while file.bytes is None or part.size != file.bytes:
                before = part.size
                try:
                    expected = self._receive(client, model, file, part, on_bytes)
                    break
                except (httpx.TransportError, _Busy) as error:
                    idle = 0 if part.size > before else idle + 1
                    if idle >= TRIES:
                        raise self._broke_off(file, part.size, _words(error)) from error
                    self.sleep(min(_LONGEST_WAIT, 2.0**idle))
        return self._accepted(part, expected, target)

    def _receive(
        self, client: httpx.Client, model: Model, file: ModelFile, part: _Part, on_bytes: OnBytes
    ) -> ModelFile:
        """The rest of a file; what it must be according to the manifest and the hub together."""
        url = f"{self.endpoint.rstrip('/')}/{model.repository}/resolve/{model.revision}/{file.name}"
        with client.stream("GET", url, headers=part.resume()) as answer:
            if answer.status_code == 416:
                part.discard()
                raise _Busy("it has no such part of the file")
            self._check_status(answer, model, file)
            expected = self._expected(answer, model, file)
            if answer.status_code == 200 or _start_of(answer) != part.size:
                if answer.status_code == 206:
                    part.discard()
                    raise _Busy("it sent another part of the file than it was asked for")
                part.discard()
            check_space(part.path.parent, (expected.bytes or part.size) - part.size)
            part.remember(answer.headers.get("etag", ""))
            for _ in part.append(answer.iter_raw(), expected.bytes):
                on_bytes(part.size, expected.bytes)
        if expected.bytes is not None and part.size < expected.bytes:
            raise _Busy("it closed the connection early")
        return expected

    def _check_status(self, answer: httpx.Response, model: Model, file: ModelFile) -> None:
        if answer.status_code in _BUSY:
            raise _Busy(f"it answered {answer.status_code}")
        if answer.status_code == 404:
            raise self._failed(
                f"{model.repository} at {self.endpoint} has no {file.name} at revision {model.revision}: it was moved or removed"
            )
        if answer.status_code not in (200, 206):
            raise self._failed(f"{self.endpoint} answered {answer.status_code} for {file.name} of {model.repository}")

    def _expected(self, answer: httpx.Response, model: Model, file: ModelFile) -> ModelFile:
        first = (answer.history or [answer])[0].headers
        commit = first.get("x-repo-commit", model.revision)
        if commit != model.revision:
            raise self._failed(
                f"{model.repository} answered with revision {commit} where {model.revision} was asked for"
            )
        tag = first.get("x-linked-etag", answer.headers.get("etag", "")).removeprefix("W/").strip('"')
        size, digest = _total_of(answer), tag if is_sha256(tag) else None
        for what, told, known in (("bytes", size, file.bytes), ("sha256", digest, file.sha256)):
            if told is not None and known is not None and told != known:
                raise self._failed(
                    f"{file.name} of {model.repository} is not the file it must be: the hub names {what} {told}, pinned is {known}"
                )
        return ModelFile(name=file.name, bytes=file.bytes or size, sha256=file.sha256 or digest)

    def _accepted(self, part: _Part, expected: ModelFile, target: Path) -> ModelFile:
        found = ModelFile(name=expected.name, bytes=part.size, sha256=sha256_of(part.path))
        if expected.sha256 not in (None, found.sha256) or expected.bytes not in (None, found.bytes):
            part.discard()
            raise self._failed(
                f"{expected.name} came damaged from {self.endpoint} and was thrown away: its sha256 is {found.sha256}, "
                f"not {expected.sha256}",
                hint="Pull it again.",
            )
        part.finish(target)
        return found

    def _commit(self, answer: httpx.Response, repository: str) -> str:
        if answer.status_code != 200:
            raise self._failed(f"{self.endpoint} has no {repository} (it answered {answer.status_code})")
        try:
            commit = answer.json()["sha"]
        except (ValueError, KeyError, TypeError):
            commit = None
        if not isinstance(commit, str) or len(commit) != 40:
            raise self._failed(f"{self.endpoint} did not say at which revision {repository} is")
        return commit

    def _broke_off(self, file: ModelFile, size: int, reason: str) -> errors.ModelDownloadFailed:
        there = f"; {size / 1e6:.1f} MB of it are here, and the next pull goes on from there" if size else ""
        return self._failed(f"{file.name} could not be fetched from {self.endpoint}: {reason}{there}")

    def _failed(self, message: str, hint: str | None = None) -> errors.ModelDownloadFailed:
        usual = "Try again later, or name a mirror in HF_ENDPOINT." if self.endpoint == HUB else "Try again later."
        return errors.ModelDownloadFailed(message, hint=usual if hint is None else hint)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def check_space(folder: Path, needed: int) -> None:
    """DiskFull unless `needed` bytes fit into an existing folder with something to spare."""
    room = shutil.disk_usage(folder).free
    if room < needed + SPARE_BYTES:
        raise errors.DiskFull(
            f"{needed / 1e6:.0f} MB are to be fetched into {folder}, and {room / 1e6:.0f} MB are free there",
            hint="Free some space, or choose another place with `sotto config set models.directory FOLDER`.",
        )


class _Busy(Exception):
    """An answer that may be another one in a while."""


class _Part:
    """What is here of a file that is not whole, and the ETag it was sent under."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._etag = target.with_name(f"{target.name}.etag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def resume(self) -> dict[str, str]:
        """The headers that ask for the rest: only if the file is still the same, which a strong ETag can tell."""
        etag = self._etag.read_text(encoding="utf-8") if self._etag.exists() else ""
        if not self.size or not etag:
            self.discard()
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": etag}

    def remember(self, etag: str) -> None:
        with _writing(self._etag):
            self._etag.write_text("" if etag.startswith("W/") else etag, encoding="utf-8")

    def append(self, pieces: Iterator[bytes], most: int | None) -> Iterator[None]:
        """Write the pieces; ModelDownloadFailed as soon as they are more than there can be."""
        with _writing(self.path), self.path.open("ab") as file:
            for piece in pieces:
                file.write(piece)
                file.flush()
                if most is not None and file.tell() > most:
                    self.discard()
                    raise errors.ModelDownloadFailed(
                        f"{self.path.stem} is longer than the {most} bytes it must have; it was thrown away"
                    )
                yield

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Give it its name, once it is on the disk."""
        with _writing(target):
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
            self.path.replace(target)
        self._etag.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise errors.DiskFull(f"no space left in {path.parent} for {path.stem}") from error
        raise errors.OutputNotWritable(
            f"{path.parent} cannot be written to: {error.strerror}",
            hint="Choose another place with `sotto config set models.directory FOLDER`.",
        ) from error


def _client() -> httpx.Client:
    import httpx

    return httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(30, connect=10),
        headers={"User-Agent": "sottovoce", "Accept-Encoding": "identity"},
        event_hooks={"response": [_check_redirect]},
    )


def _check_redirect(answer: httpx.Response) -> None:
    """A hub may send us to its store of large files, but not from https into the open."""
    if not answer.has_redirect_location:
        return
    place = answer.url.join(answer.headers["location"])
    if answer.url.scheme == "https" and place.scheme != "https":
        raise errors.ModelDownloadFailed(
            f"{answer.url.host} redirects to {place.scheme}://{place.host}, which is refused"
        )


def _listed(entry: dict[str, Any]) -> ModelFile:
    """A file of a listing; only large files carry their hash."""
    digest = (entry.get("lfs") or {}).get("sha256")
    known = digest if isinstance(digest, str) and is_sha256(digest) else None
    return ModelFile(name=entry["rfilename"], bytes=entry.get("size") or None, sha256=known)


def _start_of(answer: httpx.Response) -> int | None:
    """Where a part begins: `Content-Range: bytes 5-9/10` is 5."""
    start = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _total_of(answer: httpx.Response) -> int | None:
    """How long the whole file is, where the answer says so."""
    name = "content-range" if answer.status_code == 206 else "content-length"
    total = answer.headers.get(name, "").rpartition("/")[2]
    return int(total) if total.isdigit() and int(total) > 0 else None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
