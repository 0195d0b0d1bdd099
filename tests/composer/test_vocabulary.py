from __future__ import annotations

import pytest

from sottovoce.composer.vocabulary import STYLE_WORDS, parse_prompt, phrases
from sottovoce.prompt import Key


def test_the_readme_prompt() -> None:
    wishes = parse_prompt("rainy night lofi, jazzy piano, vinyl crackle")
    assert wishes.styles[0][0] == "lofi"
    assert wishes.textures == ("rain", "vinyl")
    assert wishes.instruments == ("felt_piano",)
    assert set(wishes.adjectives) == {"dark", "jazzy"}
    assert wishes.ignored == ()


@pytest.mark.parametrize(
    ("text", "bpm", "key", "meter"),
    [
        ("lofi 90 bpm", 90.0, None, None),
        ("tempo 120, in D minor", 120.0, Key(2, minor=True), None),
        ("a waltz in F# major, 3/4", None, Key(6), "3/4"),
        ("B-flat minor piano 6/8 at 58.5bpm", 58.5, Key(10, minor=True), "6/8"),
        ("ambient in Am", None, Key(9, minor=True), None),
        ("a minor misunderstanding", None, Key(9, minor=True), None),
        ("900 bpm", None, None, None),
        ("5/4 groove", None, None, None),
    ],
)
def test_numbers_in_words(text: str, bpm: float | None, key: Key | None, meter: str | None) -> None:
    wishes = parse_prompt(text)
    assert (wishes.bpm, wishes.key, wishes.time_signature) == (bpm, key, meter)


def test_negation_reaches_three_words_and_stops_at_a_comma() -> None:
    assert parse_prompt("no drums").banned == ("kit",)
    assert parse_prompt("without any drums or bass").banned == ("kit", "bass")
    soft = parse_prompt("no drums, soft piano")
    assert soft.banned == ("kit",)
    assert soft.instruments == ("felt_piano",)


def test_negated_styles_do_not_vote() -> None:
    assert dict(parse_prompt("ambient, not jazz").styles) == {"ambient": 3.0}


def test_longest_phrase_first() -> None:
    assert dict(parse_prompt("beats to relax").styles) == {"lofi": 3.0}
    assert parse_prompt("electric piano").instruments == ("e_piano",)


def test_what_says_nothing_is_named() -> None:
    wishes = parse_prompt("lofi for my frobnicating aardvark")
    assert wishes.ignored == ("frobnicating", "aardvark")
    assert "lofi" in wishes.understood


def test_every_style_word_votes_for_its_style() -> None:
    for style, words in STYLE_WORDS.items():
        for phrase in words.split(", "):
            assert style in dict(parse_prompt(phrase).styles), phrase


def test_phrases_are_lower_case_and_short() -> None:
    assert all(phrase == phrase.lower() and len(phrase.split()) <= 3 for phrase in phrases())
