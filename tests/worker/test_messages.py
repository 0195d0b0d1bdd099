"""What goes over the pipe comes out as it went in."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.progress import Progress
from sottovoce.worker.messages import Order, error_of, line, order_line, order_of, progress_line, progress_of

words = st.text(max_size=40)
few = settings(max_examples=20)


@few
@given(words, words, st.dictionaries(words, words))
def test_orders(name: str, kind: str, request: dict[str, str]) -> None:
    order = Order(name, kind, request, Path("/scratch/some"), local=True)
    text = order_line(order)
    assert text.count(b"\n") == 1
    assert order_of(json.loads(text)) == order


@few
@given(words, st.floats(0, 100), st.none() | st.integers(0, 99), st.none() | st.floats(0, 1e6))
def test_progress(stage: str, percent: float, step: int | None, eta: float | None) -> None:
    progress = Progress(stage, percent, step, step, eta)
    assert progress_of(json.loads(progress_line(progress))) == progress


def test_every_error_arrives_as_its_own_kind() -> None:
    for code, kind in errors.catalogue().items():
        sent = kind("what", hint="cure", details={"a": 1})
        came = error_of(json.loads(line({"error": sent.as_dict()}))["error"])
        assert (came.code, came.message, came.hint, came.details) == (code, "what", "cure", {"a": 1})


def test_numbers_that_json_lacks_become_null() -> None:
    assert json.loads(line({"lufs": float("-inf")})) == {"lufs": None}
