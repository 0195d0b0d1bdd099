from __future__ import annotations

import itertools

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.form import fit_form
from sottovoce.composer.harmony import harmonise
from sottovoce.composer.notation import ChordSpan
from sottovoce.composer.plan import resolve
from sottovoce.composer.theory import tones


def chords(words: str, seed: int, seconds: float = 60) -> tuple[float, tuple[ChordSpan, ...]]:
    plan = resolve(Brief(words, seconds, seed))
    form = fit_form(plan)
    return form.final, harmonise(plan, form)


@pytest.mark.parametrize("style", ["lofi", "ambient", "piano"])
@pytest.mark.parametrize("seconds", [5, 13, 60])
def test_chords_follow_each_other_without_holes(style: str, seconds: float) -> None:
    for seed in range(8):
        final, spans = chords(style, seed, seconds)
        assert spans[0].start == 0
        for span, following in itertools.pairwise(spans):
            assert span.start + span.length == pytest.approx(following.start)
        assert spans[-1].start == pytest.approx(final)


@pytest.mark.parametrize("style", ["lofi", "ambient", "piano"])
def test_it_ends_on_the_tonic_after_another_chord(style: str) -> None:
    for seed in range(20):
        plan = resolve(Brief(style, 40, seed))
        *_, before, last = harmonise(plan, fit_form(plan))
        assert last.root == last.bass == plan.key.root
        assert before.root != last.root or before.quality != last.quality


def test_sections_differ_in_harmony() -> None:
    plan = resolve(Brief("lofi", 90, 5))
    form = fit_form(plan)
    spans = harmonise(plan, form)
    firsts = {
        section.letter: next(s.roman for s in spans if s.start + s.length > section.start) for section in form.sections
    }
    assert firsts["A"] != firsts["B"]


def test_loops_are_varied_in_long_pieces() -> None:
    _, spans = chords("lofi", 3, 300)
    fours = [tuple(span.roman for span in spans[i : i + 4]) for i in range(0, len(spans) - 4, 4)]
    assert len(set(fours)) >= 8


def test_jazzy_triads_become_ninths() -> None:
    _, spans = chords("jazzy solo piano", 2)
    assert sum(len(tones(span)) >= 4 for span in spans) / len(spans) > 0.6
