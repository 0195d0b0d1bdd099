"""Lines however they are cut, and messages whoever sends them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sottovoce.daemon.protocol import LONGEST_LINE
from sottovoce.daemon.wire import Lines, Writer


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            try:
                os.close(end)
            except OSError:
                continue


def test_lines_come_whole_however_they_were_cut() -> None:
    with pipe() as (reader, writer):
        lines = Lines(reader)
        os.write(writer, b'{"a"')
        assert lines.next(0.01) is None
        os.write(writer, b":1}\nsecond\nthi")
        assert (lines.next(0.01), lines.next(0.01), lines.next(0.01)) == (b'{"a":1}\n', b"second\n", None)
        os.close(writer)
        assert lines.next(0.01) == b"thi"
        with pytest.raises(EOFError):
            lines.next(0.01)


def test_of_an_endless_line_only_the_length_is_kept() -> None:
    with pipe() as (reader, writer):
        lines = Lines(reader)

        def pour() -> None:
            for _ in range(160):
                os.write(writer, b"x" * (1 << 16))
            os.write(writer, b"\nnext\n")

        thread = threading.Thread(target=pour)
        thread.start()
        long = lines.next(5)
        assert long is not None
        assert LONGEST_LINE < len(long) < LONGEST_LINE + (1 << 17)
        assert lines.next(5) == b"next\n"
        thread.join()


def test_messages_of_many_threads_never_mix() -> None:
    with pipe() as (reader, writer):
        out = Writer(writer)

        def speak() -> None:
            for _ in range(50):
                out.notify("n", {"x": "y" * 500})

        threads = [threading.Thread(target=speak) for _ in "abcd"]
        for thread in threads:
            thread.start()
        lines = Lines(reader)
        for _ in range(200):
            line = lines.next(5)
            assert line is not None
            assert json.loads(line)["params"] == {"x": "y" * 500}
        for thread in threads:
            thread.join()
        out.close()


def test_a_reader_that_is_gone_breaks_the_writer_and_nothing_else() -> None:
    with pipe() as (reader, writer):
        os.close(reader)
        out = Writer(writer)
        out.notify("n", {})
        out.close()
        assert out.broken
        out.notify("n", {})


def test_progress_is_left_out_where_nobody_reads() -> None:
    with pipe() as (reader, writer):
        out = Writer(writer)
        for number in range(1000):
            out.notify("generation_progress", {"percent": number, "filling": "x" * 1000}, passing=True)
        out.notify("generation_complete", {})
        os.set_blocking(reader, False)
        told = []
        lines = Lines(reader)
        while (line := lines.next(0.5)) is not None:
            told.append(json.loads(line))
        out.close()
    assert len(told) < 500
    assert told[-1]["method"] == "generation_complete"
