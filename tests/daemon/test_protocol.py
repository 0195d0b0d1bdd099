"""JSON-RPC 2.0: what lines ask for, and how answers are put down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.daemon.protocol import (
    LONGEST_LINE,
    MOST_BYTES,
    Call,
    Incoming,
    Malformed,
    encode,
    failure,
    notification,
    read_line,
    refusal,
    result,
)


def one(line: bytes) -> Call | Malformed:
    incoming = read_line(line)
    assert incoming is not None
    assert not incoming.batch
    return incoming.calls[0]


@pytest.mark.parametrize("params", [b"", b',"params":[]', b',"params":{}', b',"params":null'])
def test_params_may_be_missing_or_empty(params: bytes) -> None:
    assert one(b'{"jsonrpc":"2.0","id":1,"method":"ping"' + params + b"}\n") == Call("ping", {}, 1)


def test_without_an_id_nothing_is_answered_and_null_is_an_id() -> None:
    assert one(b'{"jsonrpc":"2.0","method":"ping"}') == Call("ping", {}, None, silent=True)
    assert one(b'{"jsonrpc":"2.0","id":null,"method":"ping"}') == Call("ping", {}, None)


@pytest.mark.parametrize(
    ("line", "code", "name"),
    [
        (b"\x00\xff\xfe\x80\n", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,', -32700, None),
        (b"[" * 200_000, -32700, None),
        (b'{"a":' * 100_000, -32700, None),
        (b"NaN", -32700, None),
        (b"9" * 5000, -32700, None),
        (b"x" * (LONGEST_LINE + 1), -32600, None),
        (b"[]", -32600, None),
        (b"[" + b"1," * 1000 + b"1]", -32600, None),
        (b"7", -32600, None),
        (b'"ping"', -32600, None),
        (b'{"id":1,"method":"ping"}', -32600, 1),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":2}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":[1]}', -32602, "a"),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":"x"}', -32602, "a"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_request_is_refused(line: bytes, code: int, name: str | int | None) -> None:
    wrong = one(line)
    assert isinstance(wrong, Malformed)
    assert (wrong.code, wrong.id) == (code, name)
    answer = json.loads(encode(refusal(wrong)))
    assert (answer["error"]["code"], answer["id"]) == (code, name)


def test_an_empty_line_asks_for_nothing() -> None:
    assert read_line(b" \r\n") is None


def test_a_batch_keeps_its_order() -> None:
    incoming = read_line(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}, 3, {"jsonrpc":"2.0","method":"ping"}]')
    assert incoming is not None
    assert incoming.batch
    assert [type(call) for call in incoming.calls] == [Call, Malformed, Call]


@given(st.binary(max_size=200))
def test_no_line_raises(line: bytes) -> None:
    incoming = read_line(line)
    assert incoming is None or isinstance(incoming, Incoming)


def test_results_have_no_error_and_notifications_no_id() -> None:
    assert set(json.loads(encode(result(Call("ping", {}, 1), {})))) == {"jsonrpc", "id", "result"}
    assert set(json.loads(encode(notification("generation_progress", {})))) == {"jsonrpc", "method", "params"}


def test_errors_carry_their_code_and_what_cures_them() -> None:
    error = errors.QueueFull("full", hint="wait", details={"position": 6, "estimated_wait_sec": float("inf")})
    told = json.loads(encode(failure(Call("generate", {}, 4), error)))["error"]
    assert (told["code"], told["data"]["error_code"], told["data"]["hint"]) == (-32004, "QUEUE_FULL", "wait")
    assert told["data"]["details"] == {"position": 6, "estimated_wait_sec": None}
    cancelled = json.loads(encode(failure(Call("generate", {}, 4), errors.Cancelled("stopped"))))["error"]
    assert (cancelled["code"], cancelled["data"]["error_code"]) == (-32012, "GENERATION_CANCELLED")


@pytest.mark.parametrize("prompt", ["x" * 1000, "雨" * 1000, "\N{SAXOPHONE}" * 1000, "\udc80" * 1000, '"\n\\' * 333])
def test_messages_stay_below_four_kilobytes_and_whole_where_they_must(prompt: str) -> None:
    params = {"track_id": "0123456789abcdef", "path": f"/{'deep/' * 60}x.flac", "prompt": prompt, "title": prompt}
    line = encode(notification("generation_complete", params))
    assert len(line) <= MOST_BYTES
    assert line.count(b"\n") == 1
    told = json.loads(line)["params"]
    assert (told["track_id"], told["path"]) == (params["track_id"], params["path"])
    assert prompt.startswith(told["prompt"].removesuffix("…"))
