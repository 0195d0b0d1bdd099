from __future__ import annotations

from typing import Any

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.plan import is_minor, resolve
from sottovoce.composer.stylebook import STAND_INS, stand_in, stylebook
from sottovoce.composer.theory import MODES
from sottovoce.composer.vocabulary import STYLE_WORDS
from sottovoce.moods import GENRES, MOODS
from sottovoce.prompt import Key


def plan_of(words: str = "lofi", seed: int = 1, **fields: Any) -> Any:
    return resolve(Brief(words, 30, seed, **fields))


@pytest.mark.parametrize("style", STYLE_WORDS)
def test_every_style_word_gives_a_style_that_is_there_and_says_so(style: str) -> None:
    plan = plan_of(style)
    assert plan.style.name in stylebook()
    assert plan.asked_style == style
    if style not in stylebook():
        assert plan.style.name == stand_in(style)
        assert any(f"no {style} style yet" in note and plan.style.title in note for note in plan.notes)


def test_every_missing_style_has_a_stand_in() -> None:
    assert set(STYLE_WORDS) - set(stylebook()) <= set(STAND_INS)


def test_fields_come_before_words_and_words_before_the_style() -> None:
    plan = plan_of("lofi 90 bpm in D minor 3/4", bpm=77.0, key=Key(4), time_signature="6/8")
    assert (plan.bpm, plan.key, plan.meter.name, plan.free) == (77.0, Key(4), "6/8", False)
    words = plan_of("lofi 90 bpm in D minor 3/4")
    assert (words.bpm, words.key, words.meter.name) == (90.0, Key(2, minor=True), "3/4")


@pytest.mark.parametrize("minor", [True, False])
@pytest.mark.parametrize("style", ["lofi", "ambient", "piano"])
def test_an_asked_key_beats_the_mood(style: str, *, minor: bool) -> None:
    for mood in MOODS:
        plan = plan_of(style, key=Key(5, minor=minor), mood=mood)
        assert plan.key == Key(5, minor=minor)
        assert is_minor(plan.mode) == minor


@pytest.mark.parametrize("mood", MOODS)
def test_every_mood_is_taken(mood: str) -> None:
    plan = plan_of("lofi", mood=mood)
    assert plan.moods == (mood,)
    assert plan.notes == ()


def test_moods_change_tempo_density_and_mode() -> None:
    sad = [plan_of("lofi", seed, mood="sad") for seed in range(12)]
    happy = [plan_of("lofi", seed, mood="happy") for seed in range(12)]
    assert all(3 in MODES[plan.mode] for plan in sad)
    assert all(4 in MODES[plan.mode] for plan in happy)
    assert sum(p.bpm for p in sad) < sum(p.bpm for p in happy)
    assert sad[0].density < happy[0].density


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_gives_a_style(genre: str) -> None:
    plan = plan_of("something", genre=genre)
    assert plan.style.name in stylebook()
    assert not any("is not known" in note for note in plan.notes)


def test_unknown_mood_and_genre_are_said() -> None:
    notes = " ".join(plan_of("lofi", mood="frumious", genre="glorp").notes)
    assert "frumious" in notes
    assert "glorp" in notes


def test_named_instruments_play_and_banned_ones_do_not() -> None:
    for seed in range(10):
        named = plan_of("lofi with flute and strings", seed)
        instruments = {player.instruments[0][0] for player in named.cast}
        assert {"flute", "string_ensemble"} <= instruments
        roles = {player.role for player in plan_of("lofi without drums, no bass", seed).cast}
        assert not roles & {"kit", "bass"}


def test_a_kit_that_is_asked_for_comes_in() -> None:
    assert "kit" in {player.role for player in plan_of("ambient with drums").cast}
    assert "kit" not in {player.role for player in plan_of("ambient").cast}


def test_textures_by_word_and_without() -> None:
    assert "rain" in dict(plan_of("lofi, rain").textures)
    assert "vinyl" not in dict(plan_of("lofi, no vinyl").textures)
    assert plan_of("lofi, rain", without=("texture",)).textures == ()


def test_nobody_left_still_plays_something() -> None:
    assert len(plan_of("lofi", without=("comp", "pad", "bass", "kit", "lead", "answer")).cast) == 1


def test_two_hands_share_a_piano() -> None:
    for seed in range(10):
        assert len({p.instruments for p in plan_of("solo piano", seed).cast if p.stem == "piano"}) == 1


def test_adjectives_act_on_the_mix() -> None:
    plain, warm, bright = (plan_of(f"lofi {word}").mix for word in ("", "warm", "bright"))
    assert warm.tilt_db < plain.tilt_db < bright.tilt_db
    assert plan_of("lofi dreamy").mix.reverb_seconds > plain.reverb_seconds


def test_words_and_seed_both_change_the_plan() -> None:
    assert len({plan_of("lofi", seed).key for seed in range(30)}) > 5
    assert plan_of("lofi night", 1).seed != plan_of("lofi day", 1).seed
    assert plan_of("Lofi  night", 1).seed == plan_of("lofi night", 1).seed


def test_the_plan_as_plain_values() -> None:
    told = plan_of("rainy lofi, quux").as_dict()
    assert told["style"] == "lofi"
    assert told["ignored"] == ["quux"]
    assert "rain" in told["textures"]
