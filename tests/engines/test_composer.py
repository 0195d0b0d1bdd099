from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from sottovoce import errors
from sottovoce.audio import read_all
from sottovoce.dsp.inspect import inspect
from sottovoce.engines.base import Generated, Run
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.progress import Progress
from sottovoce.prompt import Key, Prompt

PROMPT = Prompt("rainy night lofi, jazzy piano", 12.3, 7, stems=True)


def take(prompt: Prompt = PROMPT, run: Run | None = None, **options: object) -> Generated:
    return Composer().generate(prompt, ComposerOptions(**options), run or Run())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> Generated:
    return take()


def test_the_take_is_exact_and_passes_inspection(made: Generated) -> None:
    frames = round(12.3 * 48_000)
    assert made.audio.samples.shape == (2, frames)
    assert made.audio.samples.dtype == np.float32
    found = inspect(made.audio, expected_frames=frames, target_lufs=-15.0)
    assert [fault for fault in found.faults if fault.hard] == []


def test_stems_add_up_to_the_mix(made: Generated) -> None:
    assert set(made.stems) <= set(Composer.capabilities.stems)
    assert {"drums", "bass", "piano", "texture"} <= set(made.stems)
    parts = np.stack([read_all(reader).samples for reader in made.stems.values()])
    difference = parts.sum(axis=0, dtype=np.float64) - made.audio.samples
    assert np.sqrt(np.mean(difference**2)) < 1e-4 * np.sqrt(np.mean(made.audio.samples.astype(np.float64) ** 2))


def test_everything_known_of_the_notes_comes_along(made: Generated) -> None:
    assert made.midi is not None
    assert made.midi.startswith(b"MThd")
    assert made.key == made.options["plan"]["key"]
    assert made.title
    assert made.chords[0][0] == 0
    assert made.sections[0].start == 0
    assert sum(section.seconds for section in made.sections) == pytest.approx(12.3)
    assert made.tempo_map[0].bpm == pytest.approx(78, rel=0.25)
    assert made.notes == ()


def test_the_same_seed_gives_the_same_bits(made: Generated) -> None:
    again = take()
    assert np.array_equal(again.audio.samples, made.audio.samples)
    assert again.midi == made.midi
    assert again.options == made.options


def test_another_seed_gives_another_piece(made: Generated) -> None:
    other = take(replace(PROMPT, seed=8))
    assert other.midi != made.midi
    assert not np.array_equal(other.audio.samples, made.audio.samples)


def test_stems_change_nothing_in_the_mix(made: Generated) -> None:
    plain = take(replace(PROMPT, stems=False))
    assert plain.stems == {}
    assert np.array_equal(plain.audio.samples, made.audio.samples)


def test_wishes_are_kept() -> None:
    prompt = Prompt("piano", 8, 3, bpm=75, key=Key(2, minor=True), time_signature="6/8", loudness=-20)
    made = take(prompt)
    assert made.key == "D minor"
    assert made.tempo_map[0].bpm == pytest.approx(75)
    assert made.options["plan"]["time_signature"] == "6/8"
    assert inspect(made.audio).lufs == pytest.approx(-20, abs=0.3)


@pytest.mark.long
@pytest.mark.parametrize(("option", "stem"), [("drums", "drums"), ("textures", "texture"), ("melody", "melody")])
def test_every_switch_takes_its_part_out(option: str, stem: str) -> None:
    prompt = replace(PROMPT, words="lofi, rain", seconds=7, seed=2)
    assert stem in take(prompt).stems
    assert stem not in take(prompt, None, **{option: False}).stems


def test_the_style_option_beats_the_words() -> None:
    made = take(replace(PROMPT, seconds=6), style="ambient")
    assert made.options["plan"]["style"] == "ambient"
    with pytest.raises(ValidationError, match="there are ambient, lofi, piano"):
        ComposerOptions(style="polka")


def test_progress_rises_to_its_end() -> None:
    seen: list[Progress] = []
    take(replace(PROMPT, seconds=20), Run(progress=seen.append))
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert len(percents) > 5


@pytest.mark.long
def test_cancelling_stops_between_parts_of_the_work() -> None:
    times = []

    def stop(progress: Progress) -> None:
        times.append(time.process_time())
        if progress.percent > 10:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        take(replace(PROMPT, seconds=300), Run(progress=stop))
    assert len(times) < 40


def test_lyrics_are_not_sung_and_that_is_said() -> None:
    assert any("lyrics" in note for note in take(replace(PROMPT, seconds=5, lyrics="la la")).notes)


@pytest.mark.parametrize("seconds", [4.9, 600.1, float("nan")])
def test_lengths_out_of_range_are_refused(seconds: float) -> None:
    with pytest.raises(errors.InvalidDuration, match="5 to 600 seconds"):
        take(replace(PROMPT, seconds=seconds))


def test_it_is_always_there() -> None:
    assert Composer().unavailable() is None
