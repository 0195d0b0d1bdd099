"""A file out of a multipart body while it arrives: read by the thread that writes it to disk, never held as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
from anyio import from_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from sottovoce import errors

FIELD: Final = "file"
#: A sender that is silent for longer has gone; its place is another's.
_SILENCE_SECONDS = 30.0
_LONGEST_HEADER = 4096
_HOW = "Send multipart/form-data with one file in the field `file`: curl -F file=@song.mp3"


class ArrivingFile:
    """The file in the field `file` of a request's body. Use it in a thread of the server's, not on its loop.

    `name` is known from the start: what the sender calls the file. InvalidParameter for a body of another form, also while reading.
    """

    def __init__(self, request: Request) -> None:
        self.name = ""
        self._body: AsyncIterator[bytes] = request.stream().__aiter__()
        self._header, self._value = b"", b""
        self._blocks: list[bytes] = []
        self._ready, self._finished, self._disposition = False, False, b""
        self._parser = MultipartParser(
            _boundary(request),
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._look,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )
        while not self._ready and self._next():
            pass
        if not self._ready:
            raise errors.InvalidParameter("the body has no file", hint=_HOW)

    def read(self, _size: int, /) -> bytes:
        """The next bytes, as many as have arrived; empty at the end."""
        while not self._blocks:
            if not self._next():
                if not self._finished:
                    raise errors.InvalidParameter("the file broke off before its end", hint="Send it again.")
                return b""
        return self._blocks.pop(0)

    def _next(self) -> bool:
        """Wait for the next piece of the body; False at its end."""
        try:
            piece = from_thread.run(self._arriving)
            self._parser.write(piece)
        except (StopAsyncIteration, ClientDisconnect):
            return False
        except TimeoutError:
            raise errors.InvalidParameter(
                f"nothing came for {_SILENCE_SECONDS:g} seconds", hint="Send it again."
            ) from None
        except FormParserError as error:
            raise errors.InvalidParameter(f"the body is no proper form: {error}", hint=_HOW) from None
        return True

    async def _arriving(self) -> bytes:
        with anyio.fail_after(_SILENCE_SECONDS):
            return await anext(self._body)

    def _begin(self) -> None:
        if self._ready:
            raise errors.InvalidParameter("the body has more than one part", hint=_HOW)

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header = _longer(self._header, data[start:end])

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value = _longer(self._value, data[start:end])

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _look(self) -> None:
        _, told = parse_options_header(self._disposition)
        if told.get(b"name") != FIELD.encode() or b"filename" not in told:
            name = told.get(b"name", b"").decode("utf-8", "replace")
            raise errors.InvalidParameter(f"the body has a part {name!r} that is no file", hint=_HOW)
        self.name = told[b"filename"].decode("utf-8", "replace")
        self._ready = True

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._blocks.append(data[start:end])

    def _end(self) -> None:
        self._finished = True


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise errors.InvalidParameter("the body is no form with a file", hint=_HOW)
    return options[b"boundary"]


def _longer(text: bytes, more: bytes) -> bytes:
    if len(text) + len(more) > _LONGEST_HEADER:
        raise errors.InvalidParameter("a header in the body is too long", hint=_HOW)
    return text + more
