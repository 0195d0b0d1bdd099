"""Moods from foreign answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.moods import GENRES, MOODS, Mood, lenient

ANYTHING = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=8)


@given(st.dictionaries(st.sampled_from([*Mood.model_fields, "else"]), ANYTHING))
def test_any_answer_becomes_a_mood(raw: dict[str, object]) -> None:
    mood = lenient(raw)
    assert mood.primary_mood in MOODS
    assert set(mood.genre_suggestions) <= set(GENRES)
    assert 0 <= mood.confidence <= 1


def test_good_values_are_kept_and_bad_ones_give_way() -> None:
    raw = {"primary_mood": " Happy", "secondary_mood": "bored", "genre_suggestions": ["polka", "Jazz"], "confidence": 3}
    mood = lenient(raw)
    assert (mood.primary_mood, mood.secondary_mood, mood.genre_suggestions, mood.confidence) == (
        "happy",
        None,
        ("jazz",),
        1.0,
    )


def test_a_mood_speaks_in_words_for_a_generator() -> None:
    assert Mood(primary_mood="tender", genre_suggestions=("piano",)).prompt() == "tender piano, medium, medium energy"
