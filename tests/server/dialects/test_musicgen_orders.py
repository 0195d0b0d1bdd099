"""Orders of the MusicGen wire as requests of ours: every legal one can be done, and nothing is passed over in silence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.server.dialects.musicgen_orders import Music, Soundtrack
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.request import validate


def soundtrack(*scenes: Any, **more: Any) -> Soundtrack:
    """A soundtrack of scenes, each its seconds or its fields."""
    parts = [{"duration": scene} if isinstance(scene, int) else scene for scene in scenes]
    return Soundtrack.model_validate({"base_prompt": "piano", "scenes": parts, **more})


@pytest.mark.parametrize(
    ("mood", "words", "kept"),
    [
        (None, "piano", None),
        ("", "piano", None),
        ("calm", "piano", "calm"),
        (" Calm ", "piano", "calm"),
        ("tense and dark", "tense and dark, piano", None),
    ],
)
def test_a_mood_is_kept_or_said_in_words(mood: str | None, words: str, kept: str | None) -> None:
    fields = Music(prompt="piano", mood=mood).fields()
    assert (fields["prompt"], fields["mood"]) == (words, kept)


def test_scenes_begin_where_the_one_before_ends() -> None:
    calm, own, plain = (
        {"duration": 20, "mood": "calm"},
        {"duration": 30, "mood": "wild", "prompt": "drums"},
        {"duration": 10},
    )
    order = soundtrack(calm, own, plain)
    fields = order.fields()
    assert fields["duration"] == 60
    assert fields["scenes"] == [
        {"start": 0, "mood": "calm", "words": "piano"},
        {"start": 20, "mood": None, "words": "wild, drums"},
        {"start": 50, "mood": None, "words": "piano"},
    ]
    assert order.notes() == []


@pytest.mark.parametrize(
    ("lengths", "starts", "gone"),
    [
        ((60, 5, 60), [0, 60], "2"),
        ((5, 60, 20), [0, 65], "1"),
        ((20, 60, 7), [0, 20], "3"),
        ((5, 5, 5, 5, 5, 5), [0, 10, 20], "2, 4, 6"),
        ((8, 8, 30), [0, 8, 16], ""),
    ],
)
def test_scenes_too_short_for_a_section_go_to_a_neighbour_and_are_named(
    lengths: tuple[int, ...], starts: list[int], gone: str
) -> None:
    order = soundtrack(*lengths)
    assert [scene["start"] for scene in order.fields()["scenes"]] == starts
    notes = order.notes()
    assert (f"{gone} went" in notes[0]) if gone else not notes


@given(st.lists(st.integers(5, 120), min_size=1, max_size=40).filter(lambda lengths: 30 <= sum(lengths) <= 600))
def test_every_legal_soundtrack_can_be_made(lengths: list[int]) -> None:
    request = validate(Generate, soundtrack(*lengths).fields())
    assert request.duration == sum(lengths)


@pytest.mark.parametrize(
    ("lengths", "words"), [((10, 15), "30 to 1200"), ((120,) * 11, "30 to 1200"), ((120,) * 6, "at most 600 s")]
)
def test_soundtracks_of_other_lengths_are_refused(lengths: tuple[int, ...], words: str) -> None:
    with pytest.raises(errors.InvalidDuration, match=words):
        soundtrack(*lengths).fields()


def test_what_is_done_otherwise_is_said() -> None:
    notes = soundtrack(40, crossfade_duration=3.0, melody_audio_url="https://example.org/a.wav").notes()
    assert len(notes) == 2
    assert "crossfade_duration" in notes[0]
    assert "melody_audio_url" in notes[1]
