from __future__ import annotations

from random import Random

import pytest

from sottovoce.composer.brief import Brief
from sottovoce.composer.form import Form, fit_form
from sottovoce.composer.meter import METERS
from sottovoce.composer.plan import Plan, resolve

LENGTHS = (5, 5.37, 7.3, 9, 12, 14.1, 19.9, 20, 25, 30, 45, 60, 61.803, 90, 180, 600)


def fitted(words: str = "lofi", seconds: float = 30, seed: int = 1, **fields: object) -> tuple[Plan, Form]:
    plan = resolve(Brief(words, seconds, seed, **fields))  # type: ignore[arg-type]
    return plan, fit_form(plan)


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("style", ["lofi", "ambient", "piano"])
def test_the_last_chord_and_its_ring_fill_the_length(style: str, seconds: float) -> None:
    plan, form = fitted(style, seconds)
    assert form.tempo.seconds(form.final) + form.ring == pytest.approx(seconds, abs=1e-9)
    least, _, most = plan.style.ring
    assert min(least, 0.15 * seconds) - 0.2 <= form.ring <= most + 1
    assert [section.start for section in form.sections[1:]] == [section.end for section in form.sections[:-1]]


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_free_tempo_is_bent_little(seconds: float) -> None:
    plan, form = fitted("lofi", seconds)
    bent = form.tempo.points[0][2] / plan.tempo - 1
    assert abs(bent) <= (0.06 if seconds >= 25 else 0.1 if seconds >= 12 else 0.25)


@pytest.mark.parametrize("bpm", [30, 47.5, 90, 133.3, 300])
@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("seconds", [5, 6.1, 12, 30, 77.7])
def test_an_asked_tempo_is_kept(bpm: float, meter: str, seconds: float) -> None:
    plan, form = fitted("lofi", seconds, bpm=bpm, time_signature=meter)
    felt = form.tempo.points[0][2] * plan.feel / plan.meter.pulse
    assert felt == pytest.approx(bpm)
    assert form.tempo.seconds(form.final) + form.ring == pytest.approx(seconds)


@pytest.mark.parametrize(("seconds", "least"), [(25, 2), (60, 3), (180, 5), (600, 12)])
@pytest.mark.parametrize("style", ["lofi", "ambient", "piano"])
def test_there_are_enough_sections(style: str, seconds: float, least: int) -> None:
    assert len(fitted(style, seconds)[1].sections) >= least


def test_energy_rises_to_a_climax_and_falls() -> None:
    energies = [section.energy for section in fitted("lofi", 120)[1].sections]
    assert max(energies) not in (energies[0], energies[-1])
    assert energies[0] < 0.5 > energies[-1]


def cuts(seed: int, apart: float, seconds: float) -> tuple[float, ...]:
    rng = Random(seed)
    times = [0.0]
    while times[-1] < seconds - apart:
        times.append(times[-1] + apart * (0.7 + 0.6 * rng.random()))
    return tuple(times[1:])


@pytest.mark.parametrize("seed", range(6))
def test_sections_begin_on_cuts(seed: int) -> None:
    cues = cuts(seed, 8, 60)
    _, form = fitted("lofi", 60, seed, cues=cues)
    starts = [form.tempo.seconds(section.start) for section in form.sections]
    assert len(form.cues_met) >= 0.5 * len([cue for cue in cues if cue < 50])
    for cue in form.cues_met:
        assert min(abs(cue - start) for start in starts) <= 0.02
    assert form.tempo.seconds(form.final) + form.ring == pytest.approx(60)


def test_an_asked_tempo_moves_at_most_a_hundredth_for_cuts() -> None:
    _, form = fitted("lofi", 60, 3, bpm=88, cues=cuts(3, 6, 60))
    assert all(abs(bpm / 88 - 1) < 0.01 for _, _, bpm in form.tempo.points)
    assert form.cues_met


def test_cuts_between_sections_get_accents_on_the_grid() -> None:
    _, form = fitted("lofi", 60, 1, cues=cuts(1, 2, 60))
    assert form.accents
    assert all((beat * 4) % 1 == 0 for beat in form.accents)
