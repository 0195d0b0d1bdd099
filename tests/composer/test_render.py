"""Rendering: exact length and loudness, stems that add up, no clicks, the same every time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sottovoce.audio import Stem
from sottovoce.composer.mix import MixStyle, Strip
from sottovoce.composer.notation import Notation, Note, Part, SectionSpan, TempoMap, Texture
from sottovoce.composer.render import Rendered, render
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.errors import InvalidParameter

RATE = 48_000
CHORDS = ((43, (58, 62, 65, 69)), (36, (58, 62, 64, 69)), (41, (57, 60, 64, 67)), (38, (54, 60, 63, 65)))
TAPE = MixStyle(high_cut=12_000, harmony=Strip(wow_cents=6.0, tremolo=0.2, drive_db=2.0))


def comp(bars: int, *, beats: tuple[float, ...] = (0.0, 2.5)) -> tuple[Note, ...]:
    return tuple(
        Note(bar * 4 + beat, 1.4, pitch, 60 + 3 * k + bar, 0.012 * k)
        for bar in range(bars)
        for beat in beats
        for k, pitch in enumerate(CHORDS[bar % 4][1])
    )


def roots(bars: int) -> tuple[Note, ...]:
    return tuple(
        Note(bar * 4 + b, 1.4, CHORDS[bar % 4][0], 84, 0.006, s)
        for bar in range(bars)
        for b, s in ((0, 0.0), (2.5, -2.0))
    )


def beat(bars: int) -> tuple[Note, ...]:
    rows = ((36, "9......5..8....."), (38, "....8.......8..2"), (42, "6.3.5.3.6.3.5.42"))
    return tuple(
        Note(bar * 4 + step / 4, 0.25, key, 14 * int(digit) - bar, 0.004)
        for bar in range(bars)
        for key, row in rows
        for step, digit in enumerate(row)
        if digit != "."
    )


def piece(parts: tuple[Part, ...], bars: int, *, bpm: float = 80.0, textures: tuple[Texture, ...] = ()) -> Notation:
    last = bars * 4.0
    ring = tuple(Note(last, 6, pitch, 70) for pitch in CHORDS[2][1])
    ended = (replace(parts[0], notes=(*parts[0].notes, *ring)), *parts[1:])
    return Notation(
        seconds=last * 60 / bpm + 3.5,
        tempo=TempoMap(((0.0, 0.0, bpm),)),
        beats_per_bar=4,
        time_signature="4/4",
        key_root=5,
        minor=False,
        sections=(SectionSpan("A", 0.0, last, 0.5),),
        chords=(),
        parts=ended,
        textures=textures,
    )


def band(bars: int = 4, *, textures: tuple[Texture, ...] = ()) -> Notation:
    lead = tuple(
        Note(bar * 4 + b, 0.9, 69 + (bar + k) % 4 * 2, 76)
        for bar in range(1, bars)
        for k, b in enumerate((0.5, 1.5, 2.0))
    )
    parts = (
        Part("keys", "harmony", "e_piano", comp(bars), send=0.35),
        Part("bass", "bass", "upright_bass", roots(bars), send=0.0),
        Part("kit", "drums", "drum_kit_lofi", beat(bars), send=0.1),
        Part("lead", "melody", "flute", lead, pan=0.1, send=0.4),
        Part("pad", "pads", "pad_warm", comp(bars, beats=(0.0,)), send=0.4),
    )
    return piece(parts, bars, textures=textures)


def alone(instrument: str, stem: str, bars: int = 4) -> Notation:
    return piece((Part("one", stem, instrument, comp(bars), send=0.3),), bars)


def played(notation: Notation, *, loudness: float = -16.0, seed: int = 3, mix: MixStyle = TAPE) -> Rendered:
    return render(notation, mix=mix, seed=seed, loudness=loudness, stems=True)


@pytest.fixture(scope="module")
def finished() -> Rendered:
    return played(band(textures=(Texture("vinyl", 0, 30, -42.0),)))


def total(made: Rendered) -> np.ndarray:
    return np.asarray(np.sum([stem.samples.astype(np.float64) for stem in made.stems.values()], axis=0))


def residual_db(made: Rendered) -> float:
    mix = made.mix.samples.astype(np.float64)
    return float(10 * np.log10(np.mean((total(made) - mix) ** 2) / np.mean(mix**2) + 1e-30))


@pytest.mark.parametrize("seconds", [5.0, 9.7531, 17.00001])
def test_the_length_is_exact_to_the_sample(seconds: float) -> None:
    made = played(replace(band(2), seconds=seconds))
    assert made.mix.samples.shape == (2, round(seconds * RATE))
    assert {stem.frames for stem in made.stems.values()} == {made.mix.frames}


@pytest.mark.long
@pytest.mark.parametrize("loudness", [-23.0, -16.0, -10.0])
def test_loudness_and_true_peak_are_as_asked(loudness: float) -> None:
    made = played(band(), loudness=loudness).mix
    assert integrated(made.samples, RATE) == pytest.approx(loudness, abs=0.1)
    assert true_peak_db(made.samples, RATE) <= -1.0


@pytest.mark.long
@pytest.mark.parametrize("loudness", [-23.0, -16.0, -10.0])
def test_stems_add_up_to_the_mix(loudness: float) -> None:
    assert residual_db(played(band(), loudness=loudness)) < -90


def test_stems_with_textures_add_up_too(finished: Rendered) -> None:
    assert set(finished.stems) == {"harmony", "bass", "drums", "melody", "pads", "texture"}
    assert residual_db(finished) < -90
    assert all(np.abs(stem.samples).max() > 1e-3 for stem in finished.stems.values())


def test_stems_do_not_change_the_mix() -> None:
    notation = band(2)
    without = render(notation, mix=TAPE, seed=3, loudness=-16.0)
    assert without.stems == {}
    assert np.array_equal(without.mix.samples, played(notation).mix.samples)


def test_same_seed_same_samples_other_seed_other_takes() -> None:
    notation = band(2)
    one, again, other = played(notation), played(notation), played(notation, seed=4)
    assert np.array_equal(one.mix.samples, again.mix.samples)
    assert not np.array_equal(one.mix.samples, other.mix.samples)


@pytest.mark.parametrize(
    ("instrument", "stem"), [("e_piano", "harmony"), ("felt_piano", "piano"), ("pad_warm", "pads")]
)
def test_the_end_is_silent_and_the_ring_before_it_is_not(instrument: str, stem: str) -> None:
    made = played(alone(instrument, stem)).mix.samples
    assert 20 * np.log10(np.abs(made[:, -RATE // 20 :]).max() + 1e-12) < -55
    last = round(4 * 4 * 0.75 * RATE)
    after = np.abs(made[:, last + RATE : last + round(1.4 * RATE)])
    assert 20 * np.log10(after.max()) > -50


def test_music_starts_at_once(finished: Rendered) -> None:
    assert np.abs(finished.mix.samples[:, : RATE // 10]).max() > 0.01


@pytest.mark.long
@pytest.mark.parametrize("instrument", ["e_piano", "grand_piano", "string_ensemble", "vibes", "nylon_guitar", "flute"])
def test_there_are_no_clicks(instrument: str) -> None:
    made = played(alone(instrument, "harmony")).mix.samples
    assert clicks(made) == 0


def clicks(samples: np.ndarray) -> int:
    """Grains of 32 samples whose fourth difference stands 30 dB over those around it, on both sides."""
    sharp = np.diff(samples.mean(axis=0).astype(np.float64), 4)
    grains = sharp[: sharp.size // 32 * 32].reshape(-1, 32)
    level = 10 * np.log10((grains**2).mean(axis=1) + 1e-12)
    windows = np.lib.stride_tricks.sliding_window_view(level, 16)
    middle = np.arange(17, level.size - 17)
    around = np.maximum(np.median(windows[middle - 16], axis=1), np.median(windows[middle + 1], axis=1))
    return int(((level[middle] > around + 30) & (level[middle] > -70)).sum())


def test_nothing_is_off_centre_or_offset(finished: Rendered) -> None:
    samples = finished.mix.samples.astype(np.float64)
    assert np.abs(samples.mean(axis=1)).max() < 1e-3
    power = (samples**2).mean(axis=1)
    assert abs(10 * np.log10(power[0] / power[1])) < 1.5
    left, right = samples
    assert 0.4 < (left * right).mean() / np.sqrt(power.prod()) < 0.95


def test_the_kick_pushes_the_pads_down() -> None:
    parts = (
        Part("pad", "pads", "pad_warm", (Note(0, 16, 60, 80),), send=0.0),
        Part("kit", "drums", "drum_kit_lofi", tuple(Note(b, 0.2, 36, 110) for b in range(2, 14, 2)), send=0.0),
    )
    style = MixStyle(pads=Strip(duck_db=9.0), glue_db=0.0)
    plain = replace(style, pads=Strip(duck_db=0.0))
    ducked, level = (played(piece(parts, 4), mix=mix).stems[Stem("pads")].samples for mix in (style, plain))
    at = round(6 * 0.75 * RATE)
    dip = np.abs(ducked[:, at : at + 2_000]).mean() / np.abs(ducked[:, at - 6_000 : at - 2_000]).mean()
    flat = np.abs(level[:, at : at + 2_000]).mean() / np.abs(level[:, at - 6_000 : at - 2_000]).mean()
    assert 20 * np.log10(dip / flat) < -4


def test_a_texture_stands_at_its_level() -> None:
    made = played(band(textures=(Texture("rain", 0, 30, -34.0),))).stems[Stem("texture")].samples
    steady = made[:, 2 * RATE : 8 * RATE]
    assert 10 * np.log10(np.mean(np.square(steady))) == pytest.approx(-34, abs=1.5)


def test_progress_rises_to_the_end_and_may_stop_the_work() -> None:
    heard: list[float] = []
    render(band(2), mix=TAPE, seed=1, loudness=-16, report=heard.append)
    assert heard[-1] == 100
    assert all(a <= b for a, b in pairwise(heard))

    def stop(percent: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(band(2), mix=TAPE, seed=1, loudness=-16, report=stop)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="kazoo"):
        played(alone("kazoo", "harmony"))
    with pytest.raises(InvalidParameter, match="lava"):
        played(band(2, textures=(Texture("lava", 0, 4, -40.0),)))


def test_a_piece_without_a_note_is_silence_of_the_right_length() -> None:
    empty = replace(band(2), parts=(), seconds=3.0)
    made = render(empty, mix=TAPE, seed=1, loudness=-16).mix.samples
    assert made.shape == (2, 3 * RATE)
    assert not made.any()
