"""A log line is one line, whatever is said in it, and tells whose it is."""

from __future__ import annotations

import logging

from sottovoce.logs import Lines


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("x", logging.WARNING, "", 1, message, None, None)
    vars(record).update(extra)
    return Lines().format(record)


def test_fields_come_in_order_and_words_stay_bare() -> None:
    told = line("ended", job="ab12", code="TIMED_OUT", stray="no")
    assert told.split(" ", 1)[1] == "level=warning job=ab12 code=TIMED_OUT message=ended"
    assert told.startswith("time=20")


def test_nothing_that_is_said_can_look_like_another_line_or_field() -> None:
    told = line('a "b"\njob=evil level=info', job="x y")
    assert "\n" not in told
    assert told.endswith(r'job="x y" message="a \"b\"\njob=evil level=info"')
