from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio
from sottovoce.composer.vocabulary import MOOD_WORDS, STYLE_WORDS
from sottovoce.engines.captions import ace_step_caption, musicgen_caption, richer_words, tags_of
from sottovoce.moods import GENRES, MOODS
from sottovoce.prompt import Edit, Prompt, parse_key


def prompt(words: str, **wishes: Any) -> Prompt:
    return Prompt(words, 60, 1, **wishes)


def bpm_of(words: str, **wishes: Any) -> float:
    found = tags_of(prompt(words, **wishes)).bpm
    assert found is not None
    return found


def test_the_formula_is_words_genre_mood_instruments_production_season_tempo_key() -> None:
    asked = prompt("A winter walk", mood="nostalgic", genre="folk", bpm=87.5, key=parse_key("Am"))
    assert ace_step_caption(asked) == (
        "A winter walk, folk, nostalgic, fingerpicked acoustic guitar, cello, natural close recording, "
        "frosty, glistening, 87.5 bpm, A minor"
    )
    assert musicgen_caption(asked) == (
        "A winter walk. genre: folk. moods: nostalgic. instrument: fingerpicked acoustic guitar, cello. bpm: 87.5. "
        "key: A minor. keywords: natural close recording, frosty, glistening"
    )


def test_the_meter_stands_in_musicgens_caption_alone_since_ace_step_has_a_field_for_it() -> None:
    asked = prompt("a walk", genre="folk", time_signature="3/4")
    assert "3/4 time" in musicgen_caption(asked)
    assert "3/4" not in ace_step_caption(asked)


@pytest.mark.parametrize("mood", [None, *MOODS])
@pytest.mark.parametrize("genre", [None, *GENRES])
def test_every_mood_and_genre_has_a_caption_with_its_words_first(mood: str | None, genre: str | None) -> None:
    asked = prompt("for a video of my cat", mood=mood, genre=genre)
    for caption in (ace_step_caption(asked), musicgen_caption(asked)):
        assert caption.startswith("for a video of my cat")
        assert (mood or "") in caption
        assert (genre or "") in caption
        assert ("bpm" in caption) == bool(mood or genre)


def test_livelier_moods_are_faster_within_the_genres_range() -> None:
    tempos = [bpm_of("x", mood=mood, genre="acoustic") for mood in ("calm", "nostalgic", "happy", "energetic")]
    assert tempos == sorted(tempos)
    assert (tempos[0], tempos[-1]) == (68, 132)
    assert bpm_of("slow", genre="electronic") == 72
    assert bpm_of("fast", genre="electronic") == 150


@pytest.mark.parametrize(("words", "given"), [("lofi at 90 bpm", None), ("lofi", 90.0), ("lofi, tempo 90", 90.0)])
def test_no_other_tempo_is_said_where_the_user_gave_one(words: str, given: float | None) -> None:
    asked = prompt(words, bpm=given)
    for caption in (ace_step_caption(asked), musicgen_caption(asked)):
        assert caption.count("90") == 1
    assert tags_of(asked).bpm in (None, 90)


def test_music_to_start_from_keeps_its_own_tempo() -> None:
    source = ArrayReader(Audio(np.zeros((2, 48_000), np.float32), 48_000))
    assert tags_of(prompt("lofi", edit=Edit("cover", source))).bpm is None
    assert tags_of(prompt("lofi", bpm=80.0, edit=Edit("cover", source))).bpm == 80


def test_nothing_is_added_that_the_words_say_or_rule_out() -> None:
    caption = ace_step_caption(prompt("energetic rock, no drums, no bass"))
    assert "drum" not in caption.removeprefix("energetic rock, no drums")
    assert caption.count("bass") == 1
    assert caption.count("rock") == 1
    assert ace_step_caption(prompt("calm, not ambient, no pads")) == "calm, not ambient, no pads"
    assert "guitar" not in ace_step_caption(prompt("a sad piece for flute"))
    assert "warm" not in ace_step_caption(prompt("bright acoustic folk"))
    assert "frosty" not in ace_step_caption(prompt("anything but not winter"))


def test_words_that_say_nothing_of_music_stay_alone() -> None:
    for make in (ace_step_caption, musicgen_caption, richer_words):
        assert make(prompt("  für meine Katze  ")) == "für meine Katze"


def test_tags_that_do_not_fit_are_left_out_and_words_that_do_not_are_refused() -> None:
    for length in (440, 480, 495, 512):
        words = ("lofi " * 200)[:length].strip()
        caption = ace_step_caption(prompt(words, mood="calm", bpm=80.0))
        assert caption.startswith(words)
        assert len(caption) <= 512
        assert len(musicgen_caption(prompt(words, mood="calm"))) <= max(500, len(words))
    with pytest.raises(errors.InvalidPrompt, match=r"513 characters.*512"):
        ace_step_caption(prompt("x" * 513))
    assert musicgen_caption(prompt("x" * 513)) == "x" * 513


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*", ".join([*STYLE_WORDS.values(), *MOOD_WORDS.values()]).split(", "), "no", "winter", "."]),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([None, *MOODS]),
    st.sampled_from([None, *GENRES]),
)
def test_any_words_stay_first_and_the_same_prompt_has_the_same_caption(
    said: list[str], mood: str | None, genre: str | None
) -> None:
    asked = prompt(" ".join(said), mood=mood, genre=genre)
    for make, longest in ((ace_step_caption, 512), (musicgen_caption, 500), (richer_words, 512)):
        caption = make(asked)
        assert caption.startswith(asked.words)
        assert len(caption) <= longest
        assert caption == make(asked)
