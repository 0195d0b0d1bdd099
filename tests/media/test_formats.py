from __future__ import annotations

from pathlib import Path

import pytest

from sottovoce.errors import InvalidParameter, UnsupportedFormat
from sottovoce.media.formats import Format, coding_of, format_of


def test_endings_choose_the_format() -> None:
    assert format_of(Path("a.FLAC")) == Format("flac")
    assert format_of(Path("a.wav"), bit_depth="float") == Format("wav", "float")
    assert format_of(Path("a.mp3"), bitrate=320) == Format("mp3", bitrate=320)
    for name in ("a.xyz", "noending", ".flac"):
        with pytest.raises(UnsupportedFormat, match="format"):
            format_of(Path(name))


@pytest.mark.parametrize(
    ("name", "depth", "bitrate"),
    [("mp3", "16", None), ("flac", "float", None), ("wav", None, 320), ("mp3", None, 321), ("opus", None, 5)],
)
def test_what_a_format_cannot_hold_is_refused(name: str, depth: str | None, bitrate: int | None) -> None:
    with pytest.raises(InvalidParameter, match=name):
        Format(name, depth, bitrate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "rate", "stored"),
    [
        ("mp3", 44_100, 44_100),
        ("mp3", 40_000, 44_100),
        ("mp3", 96_000, 48_000),
        ("mp3", 88_200, 44_100),
        ("m4a", 192_000, 96_000),
        ("opus", 44_100, 48_000),
        ("flac", 123_456, 123_456),
    ],
)
def test_rates_that_a_format_lacks_become_near_ones(name: str, rate: int, stored: int) -> None:
    assert coding_of(Format(name)).rate_for(rate) == stored
