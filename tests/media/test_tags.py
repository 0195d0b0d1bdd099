from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.audio import Audio
from sottovoce.media.encode import encode, format_of
from sottovoce.media.probe import probe
from sottovoce.media.tags import for_container, in_our_words

EVERYWHERE = {
    "title": "Nächte in Łódź 夜 🎵",
    "artist": "Sigur Rós",
    "album": "Ágætis",
    "genre": "lofi",
    "date": "2026",
    "comment": "a b",
}
MORE = {
    "bpm": "78",
    "key": "A minor",
    "composer": "Я",
    "album_artist": "Ü",
    "lyrics": "la\nla",
    "track": "3",
    "copyright": "c",
}


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.opus", "a.ogg", "a.m4a"])
def test_tags_come_back(tmp_path: Path, chord: Callable[..., Audio], name: str) -> None:
    path = tmp_path / name
    encode(chord(), path, format_of(path), tags=EVERYWHERE | MORE)
    found = probe(path).tags
    assert EVERYWHERE.items() <= found.items()
    if name not in ("a.wav", "a.m4a"):
        assert found == EVERYWHERE | MORE


def test_names_in_any_case_mean_the_same() -> None:
    assert in_our_words({"TITLE": "t", "TBPM": "80", "ENCODER": "x"}, {"title": "other", "Artist": "a"}) == {
        "title": "t",
        "bpm": "80",
        "artist": "a",
    }


def test_nothing_breaks_out_of_a_tag() -> None:
    assert for_container({"Title": " a\x00b\x1b ", "empty": "  ", "": "x"}, "flac") == {"title": "a b"}
