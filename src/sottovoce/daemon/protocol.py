"""JSON-RPC 2.0, one JSON value per line: what a line asks for, and how answers and notifications are put down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from sottovoce.errors import Cancelled, SottovoceError
from sottovoce.plain import plain

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
#: A longer line is read to its end and refused.
LONGEST_LINE = 1 << 20
#: What a pipe takes in one piece, so that a client never reads half a message.
MOST_BYTES = 4096
MOST_CALLS = 100
#: A cancelled generation has a code of its own on this wire.
GENERATION_CANCELLED = "GENERATION_CANCELLED"
#: How long texts may be, each tried until the whole message fits.
_CUTS = (None, 800, 400, 200, 100)
_SHORTEST = 40
#: What is never cut, as half of it is of no use.
_WHOLE = frozenset({"id", "path", "track_id"})

Id = str | int | float | None
Message = Mapping[str, Any]
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A request; one that is `silent` is a notification and never answered."""

    method: str
    params: Params
    id: Id = None
    silent: bool = False


@dataclass(frozen=True)
class Malformed:
    """What is no request, and how it is refused."""

    code: int
    name: str
    message: str
    id: Id = None


@dataclass(frozen=True)
class Reply:
    """The result of a call, and what is done once its answer is written."""

    result: Params
    then: tuple[Callable[[], object], ...] = ()


@dataclass(frozen=True)
class Incoming:
    """What a line asks for, in order; the calls of a batch are answered together."""

    calls: tuple[Call | Malformed, ...]
    batch: bool = False


def read_line(line: bytes) -> Incoming | None:
    """What a line asks for; None for an empty one. Nothing that can stand on a line raises."""
    if len(line) > LONGEST_LINE:
        return _refused(f"a line may have at most {LONGEST_LINE} bytes")
    if not line.strip():
        return None
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except RecursionError:
        return Incoming((Malformed(PARSE_ERROR, "PARSE_ERROR", "this is nested too deeply"),))
    except ValueError as error:
        return Incoming((Malformed(PARSE_ERROR, "PARSE_ERROR", f"this is no JSON: {error}"),))
    if not isinstance(value, list):
        return Incoming((_read_call(value),))
    if not 1 <= len(value) <= MOST_CALLS:
        return _refused(f"a batch has 1 to {MOST_CALLS} requests")
    return Incoming(tuple(_read_call(item) for item in value), batch=True)


def result(call: Call, value: Params) -> Message:
    """The answer to a call that was done."""
    return {"jsonrpc": "2.0", "id": call.id, "result": value}


def failure(call: Call, error: SottovoceError) -> Message:
    """The answer to a call that could not be done."""
    data = {"error_code": wire_code(error), "hint": error.hint, "details": error.details}
    return {"jsonrpc": "2.0", "id": call.id, "error": {"code": error.rpc, "message": error.message, "data": data}}


def refusal(wrong: Malformed) -> Message:
    """The answer to what is no request."""
    data = {"error_code": wrong.name, "hint": "docs/daemon.md describes the protocol.", "details": {}}
    return {"jsonrpc": "2.0", "id": wrong.id, "error": {"code": wrong.code, "message": wrong.message, "data": data}}


def unknown_method(call: Call, known: list[str]) -> Malformed:
    """What a call of a method that there is not, is."""
    text = f"no method is called {call.method[:80]!r}; there are {', '.join(known)}"
    return Malformed(METHOD_NOT_FOUND, "METHOD_NOT_FOUND", text, call.id)


def notification(method: str, params: Params) -> Message:
    """A message that nobody asked for."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def wire_code(error: SottovoceError) -> str:
    """An error's code as this wire has it."""
    return GENERATION_CANCELLED if isinstance(error, Cancelled) else error.code


def encode(message: Message | list[Message]) -> bytes:
    """A line of at most 4096 bytes: long texts are cut until it fits. Each message of a batch fits on its own."""
    if isinstance(message, list):
        return b"[" + b",".join(encode(each)[:-1] for each in message) + b"]\n"
    value = plain(message)
    lines = (_line(value if most is None else _cut(value, most)) for most in _CUTS)
    return next((line for line in lines if len(line) <= MOST_BYTES), _line(_cut(value, _SHORTEST)))


def _line(value: Any) -> bytes:
    # What came as half a surrogate pair goes out as it came: escaped.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def _read_call(value: object) -> Call | Malformed:
    if not isinstance(value, dict):
        return Malformed(INVALID_REQUEST, "INVALID_REQUEST", "a request is an object")
    name, method = value.get("id"), value.get("method")
    if isinstance(name, bool) or not (name is None or isinstance(name, str | int | float)):
        return Malformed(INVALID_REQUEST, "INVALID_REQUEST", "an id is a string or a number")
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str):
        text = 'a request has "jsonrpc": "2.0" and a method, which is a string'
        return Malformed(INVALID_REQUEST, "INVALID_REQUEST", text, name)
    params = value.get("params")
    if params is None or params == []:
        params = {}
    if not isinstance(params, dict):
        return Malformed(INVALID_PARAMS, "INVALID_PARAMETER", "params are named: write an object", name)
    return Call(method, params, name, silent="id" not in value)


def _refused(why: str) -> Incoming:
    return Incoming((Malformed(INVALID_REQUEST, "INVALID_REQUEST", why),))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _cut(value: Any, most: int) -> Any:
    """The value with every text at most `most` characters long."""
    if isinstance(value, dict):
        return {key: item if key in _WHOLE else _cut(item, most) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, most) for item in value]
    return f"{value[: most - 1]}…" if isinstance(value, str) and len(value) > most else value
