"""Bodies of the ACE-Step dialect in their three forms: JSON, a form, a form with files, which go to disk while they arrive."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

import anyio
from anyio import from_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from sottovoce import errors
from sottovoce.library.uploads import Readable
from sottovoce.server.asked import check_text

#: A sender that is silent for longer has gone.
_SILENCE_SECONDS = 30.0
_LONGEST_FIELDS, _LONGEST_HEADER, _MOST_PARTS = 1 << 20, 4096, 1000
_JSON = re.compile(rb"application/([\w.-]+\+)?json")
_FORM = b"application/x-www-form-urlencoded"


class Keep(Protocol):
    """Takes files out of a form."""

    def __call__(self, field: str, name: str, file: Readable, said: Mapping[str, str], /) -> None:
        """A file: its field, what its sender calls it, its bytes, and the fields that came before it."""


async def whole_body(request: Request) -> bytes | None:
    """A body as a whole, read without holding a thread; None for a form of a known caller's, whose files a thread stores while they arrive.

    Whoever shows a token in the body alone is unknown until then, so that body must be short. FileTooLarge if it is not, InvalidParameter for a sender that is silent.
    """
    if _is_form(request) and request.scope["caller"] is not None:
        return None
    body, pieces = bytearray(), request.stream().__aiter__()
    while (piece := await _arriving(pieces)) is not None:
        body += piece
        _check_length(len(body))
    return bytes(body)


def read_body(request: Request, whole: bytes | None, keep: Keep) -> dict[str, Any]:
    """The fields of a body, `whole` if `whole_body` has read it; files go to `keep`. Use it in a thread of the server's, not on its loop.

    InvalidParameter for a form that breaks off or cannot be read, FileTooLarge for endless fields; 400 and 415 for what is no such body.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if _is_form(request):
        pieces = _Pieces(request) if whole is None else iter([whole])
        fields: dict[str, Any] = dict(_Form(pieces, options.get(b"boundary", b"")).fields(keep))
    else:
        fields = _plain_fields(kind.lower(), whole or b"")
    check_text(fields)
    return fields


def _is_form(request: Request) -> bool:
    kind, _ = parse_options_header(request.headers.get("content-type"))
    return kind == b"multipart/form-data"


def _plain_fields(kind: bytes, raw: bytes) -> dict[str, Any]:
    """A body without files: by its type, or by what it looks like where that says nothing."""
    text = raw.strip()
    if _JSON.fullmatch(kind) or (kind != _FORM and text.startswith(b"{")):
        return _json_fields(raw)
    if kind == _FORM or b"=" in text:
        return _form_fields(text)
    if not text:
        return {}
    raise HTTPException(415, "send application/json, multipart/form-data or application/x-www-form-urlencoded")


def _json_fields(raw: bytes) -> dict[str, Any]:
    try:
        said = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON; send one JSON object") from None
    if not isinstance(said, dict):
        raise HTTPException(400, "the body is JSON, but no object")
    return said


def _form_fields(text: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=_MOST_PARTS)
    except ValueError:
        raise errors.InvalidParameter("the body is no proper form", hint="") from None
    return dict(pairs)


class _Pieces:
    """A request's body as it arrives, asked for by a thread."""

    def __init__(self, request: Request) -> None:
        self._body = request.stream().__aiter__()

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece = from_thread.run(_arriving, self._body)
        if piece is None:
            raise StopIteration
        return piece


async def _arriving(body: AsyncIterator[bytes]) -> bytes | None:
    """The next bytes; None at the end, or where the sender has gone."""
    try:
        with anyio.fail_after(_SILENCE_SECONDS):
            return await anext(body)
    except (StopAsyncIteration, ClientDisconnect):
        return None
    except TimeoutError:
        raise errors.InvalidParameter(f"nothing came for {_SILENCE_SECONDS:g} seconds", hint="Send it again.") from None


@dataclass(frozen=True)
class _Part:
    """The head of a part: its field, and what a file is called."""

    field: str
    file: str | None


class _Form:
    """A multipart body, part by part; the file of the part that is on its way can be read from it."""

    def __init__(self, pieces: Iterator[bytes], boundary: bytes) -> None:
        self._pieces, self._finished = pieces, False
        self._header, self._value, self._disposition = b"", b"", b""
        #: What has arrived and was not looked at yet; None is the end of a part.
        self._arrived: deque[_Part | bytes | None] = deque()
        if not boundary:
            raise errors.InvalidParameter("the form does not say what its parts are divided by", hint="")
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin,
                "on_part_data": lambda data, start, end: self._arrived.append(data[start:end]),
                "on_part_end": lambda: self._arrived.append(None),
                "on_end": self._end,
            },
        )

    def fields(self, keep: Keep) -> dict[str, str]:
        """The fields that are text; files go to `keep` as they come."""
        said: dict[str, str] = {}
        length = count = 0
        while (part := self._next_part()) is not None:
            count += 1
            if part.file is not None:
                if part.file:
                    keep(part.field, part.file, self, dict(said))
                self._skip()
            else:
                said[part.field] = self._text(length)
                length += len(said[part.field])
            if count > _MOST_PARTS:
                raise errors.InvalidParameter(f"the form has more than {_MOST_PARTS} parts", hint="")
        return said

    def read(self, _size: int, /) -> bytes:
        """The next bytes of the part, as many as have arrived; empty at its end."""
        self._wait()
        if not isinstance(self._arrived[0], bytes):
            return b""
        data = self._arrived.popleft()
        assert isinstance(data, bytes)
        return data

    def _next_part(self) -> _Part | None:
        while not self._arrived:
            if self._finished:
                return None
            self._more()
        part = self._arrived.popleft()
        assert isinstance(part, _Part), "a part is read to its end before the next one"
        return part

    def _text(self, before: int) -> str:
        text = b""
        while data := self.read(0):
            text += data
            _check_length(before + len(text))
        self._skip()
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise errors.InvalidParameter("a field of the form is no UTF-8", hint="") from None

    def _skip(self) -> None:
        """What is left of a part, and its end."""
        while self.read(0):
            pass
        self._arrived.popleft()

    def _wait(self) -> None:
        while not self._arrived:
            self._more()

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise errors.InvalidParameter("the form broke off before its end", hint="Send it again.")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise errors.InvalidParameter(f"the body is no proper form: {error}", hint="") from None

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header = _longer(self._header, data[start:end])

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value = _longer(self._value, data[start:end])

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _begin(self) -> None:
        _, told = parse_options_header(self._disposition)
        file = told.get(b"filename")
        self._disposition = b""
        self._arrived.append(_Part(_name(told.get(b"name", b"")), None if file is None else _name(file)))

    def _end(self) -> None:
        self._finished = True


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _longer(text: bytes, more: bytes) -> bytes:
    if len(text) + len(more) > _LONGEST_HEADER:
        raise errors.InvalidParameter("a header in the form is too long", hint="")
    return text + more


def _check_length(size: int) -> None:
    if size > _LONGEST_FIELDS:
        raise errors.FileTooLarge(
            f"the fields have more than the {_LONGEST_FIELDS / 1e6:.1f} MB that are taken here",
            hint="Send music as a file of a form, and the token as `Authorization: Bearer TOKEN`.",
        )
