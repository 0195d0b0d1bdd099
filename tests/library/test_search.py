"""Tracks are found by words and facts; no query, however odd, is an error; pages meet without gap or overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.library.conftest import MakeTrack

from sottovoce import errors
from sottovoce.library.tracks import Library

Find = Callable[..., set[str]]

TRACKS: tuple[dict[str, Any], ...] = (
    {"title": "Rainy night", "words": "lofi, jazzy piano, vinyl crackle", "tags": ("sleep", "café music"), "bpm": 72.0, "key": "A minor", "mood": "calm"},
    {"title": "Späti um zwölf", "words": "Überraschung in lo-fi", "engine": "composer", "bpm": 90.0, "genre": "jazz"},
    {"title": "夜の雨", "words": "静かなピアノ", "tags": ("東京",), "bpm": None, "key": "F# major"},
    {"title": "100% \"pure\" _noise_ *", "words": "-16 LUFS (loud)", "kind": "import", "engine": None, "bpm": 140.0},
    {"title": "Ночной дождь", "words": "тихое пианино", "bpm": 60.0},
)  # fmt: skip


@pytest.fixture
def find(library: Library, new: MakeTrack) -> Find:
    """Files the tracks above, 10 s longer each; finds titles."""
    for index, fields in enumerate(TRACKS):
        track = library.add(new(b"%d" % index, seed=index, seconds=10.0 * (index + 1), **{"engine": "tone"} | fields))
        if index:
            library.rate(track.id, index)
    return lambda **fields: {track.title for track in library.search(**fields).tracks}


RAIN, LATE, TOKYO, NOISE, MOSCOW = (fields["title"] for fields in TRACKS)


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("", {RAIN, LATE, TOKYO, NOISE, MOSCOW}),
        ("   ", {RAIN, LATE, TOKYO, NOISE, MOSCOW}),
        ("rainy", {RAIN}),
        ("RAIN", {RAIN}),
        ("piano night", {RAIN}),
        ("night piano zebra", set()),
        ("sleep", {RAIN}),
        ("cafe", {RAIN}),
        ("calm", {RAIN}),
        ("composer", {LATE}),
        ("jazz", {RAIN, LATE}),
        ("uberraschung", {LATE}),
        ("zwölf", {LATE}),
        ("lo-fi", {LATE}),
        ("ДОЖДЬ", {MOSCOW}),
        ("тих пиан", {MOSCOW}),
        ("雨", {TOKYO}),
        ("ピアノ", {TOKYO}),
        ("東京 夜", {TOKYO}),
        ("*", {NOISE}),
        ("%", {NOISE}),
        ('"pure"', {NOISE}),
        ("_noise_", {NOISE}),
        ("-16", {NOISE}),
        ("(loud)", {NOISE}),
        ("%%", set()),
        ("title:rainy", set()),
        ("rainy OR späti", set()),
        ("NEAR(rainy night)", set()),
        ("🌧", set()),
        ("\0", set()),
    ],
)
def test_words_find(find: Find, text: str, titles: set[str]) -> None:
    assert find(text=text) == titles


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from(list("\"'*-:^()+{}~\\%_ \0")), max_size=40))
def test_no_text_is_an_error(library: Library, text: str) -> None:
    assert library.search(text=text).tracks == ()


@pytest.mark.parametrize(
    ("fields", "titles"),
    [
        ({"engine": "tone"}, {RAIN, TOKYO, MOSCOW}),
        ({"kind": "import"}, {NOISE}),
        ({"tags": ["Sleep"]}, {RAIN}),
        ({"tags": ["sleep", "東京"]}, set()),
        ({"min_rating": 3}, {NOISE, MOSCOW}),
        ({"min_bpm": 72, "max_bpm": 90}, {RAIN, LATE}),
        ({"min_seconds": 20, "max_seconds": 30}, {LATE, TOKYO}),
        ({"key": "a MINOR"}, {RAIN}),
        ({"key": "Gb"}, {TOKYO}),
        ({"text": "jazz", "engine": "composer", "max_bpm": 100}, {LATE}),
    ],
)
def test_filters(find: Find, fields: dict[str, Any], titles: set[str]) -> None:
    assert find(**fields) == titles


@pytest.mark.parametrize(
    ("sort", "titles"),
    [
        ("newest", [MOSCOW, NOISE, TOKYO, LATE, RAIN]),
        ("oldest", [RAIN, LATE, TOKYO, NOISE, MOSCOW]),
        ("title", [NOISE, RAIN, LATE, MOSCOW, TOKYO]),
        ("rating", [MOSCOW, NOISE, TOKYO, LATE, RAIN]),
        ("longest", [MOSCOW, NOISE, TOKYO, LATE, RAIN]),
        ("shortest", [RAIN, LATE, TOKYO, NOISE, MOSCOW]),
        ("fastest", [NOISE, LATE, RAIN, MOSCOW, TOKYO]),
        ("slowest", [MOSCOW, RAIN, LATE, NOISE, TOKYO]),
    ],
)
def test_orders_and_their_pages(library: Library, find: Find, sort: str, titles: list[str]) -> None:
    assert [track.title for track in library.search(sort=sort).tracks] == titles
    paged, after = [], None
    for _ in titles:
        page = library.search(sort=sort, limit=2, after=after)
        paged += [track.title for track in page.tracks]
        after = page.after
        if after is None:
            break
    assert paged == titles


def test_a_page_goes_on_where_it_ended_while_tracks_come_and_go(library: Library, new: MakeTrack) -> None:
    ids = [library.add(new(b"%d" % index, seed=index)).id for index in range(6)]
    page = library.search(limit=3)
    library.add(new(b"late", seed=99))
    library.remove(ids[3])
    assert [track.id for track in library.search(limit=3, after=page.after).tracks] == [ids[2], ids[1], ids[0]]


def test_texts_and_tags_that_change_are_found_anew(library: Library, new: MakeTrack) -> None:
    track = library.add(new(title="Night", tags=("old",))).id
    library.rename(track, "Morning")
    library.untag(track, "old")
    library.tag(track, "fresh")
    hits = {text: len(library.search(text=text).tracks) for text in ("night", "old", "morning", "fresh")}
    assert hits == {"night": 0, "old": 0, "morning": 1, "fresh": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"min_rating": 0},
        {"min_rating": 6},
        {"limit": 0},
        {"limit": 501},
        {"sort": "random"},
        {"key": "H minor"},
        {"tags": ["a,b"]},
        {"min_bpm": -1},
        {"colour": "red"},
        {"after": "not a place"},
        {"after": "é"},
        {"after": "bnVsbA"},
        {"after": "W1tdLDFd"},
        {"after": "WyIiLCAxMDAwMDAwMDAwMDAwMDAwMDAwMDAwXQ"},
    ],
)
def test_a_bad_query_is_refused_with_the_field(library: Library, fields: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidParameter) as caught:
        library.search(**fields)
    assert next(iter(fields)).removesuffix("s") in caught.value.message
