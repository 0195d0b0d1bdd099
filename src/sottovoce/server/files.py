"""Files as answers: whole or in parts, and not at all where the browser has them already."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from sottovoce import errors

#: Types that a browser may show in place; anything else is saved.
_SHOWN = {
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".png": "image/png",
    ".json": "application/json",
}
_SAVED = {".mid": "audio/midi", ".zip": "application/zip"}
#: Kept by the browser, which asks each time whether it may still be used.
_PRIVATE = "private, no-cache"


def file_answer(request: Request, path: Path, tag: str, name: str) -> Response:
    """A file, or the parts asked for; 304 if the caller's ETag is `tag`, which stands for its content. `name` is what it is saved as."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": _PRIVATE}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    if not path.is_file():
        raise errors.InputUnreadable(
            f"{name} is not on this server's disk any more", hint="`sotto doctor` looks for the cause."
        )
    suffix = path.suffix.lower()
    return FileResponse(
        path,
        media_type=_SHOWN.get(suffix) or _SAVED.get(suffix, "application/octet-stream"),
        headers=headers,
        filename=name,
        content_disposition_type="inline" if suffix in _SHOWN else "attachment",
    )


def file_tag(path: Path) -> str:
    """An ETag for a file that is written once: from its length and time."""
    state = path.stat()
    return f"{state.st_size:x}-{state.st_mtime_ns:x}"


def is_known(request: Request, tag: str) -> bool:
    """Whether the caller has what the ETag stands for already."""
    told = request.headers.get("if-none-match", "").strip()
    return told == "*" or f'"{tag}"' in (part.strip().removeprefix("W/") for part in told.split(","))


def saved_as(name: str) -> dict[str, str]:
    """The header that has a browser save an answer under a name."""
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
