import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import ValidationError

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.dsp.separation import STEMS
from sottovoce.engines.base import NoConfig, Run, Separation
from sottovoce.engines.classical import Classical, ClassicalOptions
from sottovoce.progress import Progress


class Endless:
    """A source of seeded noise of any length that is never in memory as a whole."""

    def __init__(self, seconds: float, rate: int = 8000, channels: int = 2) -> None:
        self.rate, self.channels, self.frames = rate, channels, round(seconds * rate)

    def blocks(self, frames: int) -> Iterator[Samples]:
        draw = np.random.default_rng(0)
        for start in range(0, self.frames, frames):
            yield draw.standard_normal((self.channels, min(frames, self.frames - start))).astype(np.float32)


class Uneven(ArrayReader):
    """A reader that gives blocks of its own sizes."""

    def blocks(self, frames: int) -> Iterator[Samples]:
        start, step = 0, 1
        while start < self.frames:
            yield self.audio.samples[:, start : start + step]
            start, step = start + step, step * 3 % 10_007 + 1


class Counting:
    """A sink that keeps only how much came."""

    def __init__(self) -> None:
        self.frames: dict[Stem, int] = {}

    def write(self, stem: Stem, block: Samples) -> None:
        self.frames[stem] = self.frames.get(stem, 0) + block.shape[1]


def noise(channels: int, frames: int, rate: int) -> Audio:
    return Audio((0.2 * np.random.default_rng(1).standard_normal((channels, frames))).astype(np.float32), rate)


def separated(reader: ArrayReader, options: ClassicalOptions | None = None) -> tuple[dict[Stem, Audio], Separation]:
    sink = ArrayWriter(reader.rate)
    done = Classical(NoConfig()).separate(reader, sink, options or ClassicalOptions(), Run())
    return sink.stems(), done


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 6)])
def test_stems_have_the_shape_of_the_source_and_null_against_it(rate: int, channels: int) -> None:
    source = noise(channels, 2 * rate + 17, rate)
    stems, done = separated(ArrayReader(source))
    assert set(stems) == set(done.stems) == set(STEMS)
    assert {stem.samples.shape for stem in stems.values()} == {source.samples.shape}
    left = sum(stem.samples for stem in stems.values()) - source.samples
    assert np.abs(left).max() < np.abs(source.samples).max() * 10 ** (-90 / 20)


def test_it_is_deterministic_whatever_blocks_the_reader_gives() -> None:
    source = noise(2, 60_000, 8000)
    one, _ = separated(ArrayReader(source))
    other, _ = separated(Uneven(source))
    for stem in STEMS:
        np.testing.assert_array_equal(one[stem].samples, other[stem].samples)


def test_it_says_that_it_is_the_fallback() -> None:
    _, done = separated(ArrayReader(noise(1, 8000, 8000)))
    assert "no-model fallback" in done.notes[0]
    assert any("mono" in note for note in done.notes)
    assert any("short" in note for note in done.notes)
    assert "fallback" in Classical.capabilities.quality


def test_progress_rises_to_the_end() -> None:
    seen: list[Progress] = []
    sink = Counting()
    Classical(NoConfig()).separate(Endless(30), sink, ClassicalOptions(), Run(progress=seen.append))
    percents = [step.percent for step in seen]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert set(sink.frames.values()) == {30 * 8000}


def test_it_stops_within_a_block_when_cancelled() -> None:
    sink = Counting()

    def stop(progress: Progress) -> None:
        if progress.percent > 0:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        Classical(NoConfig()).separate(Endless(3600), sink, ClassicalOptions(), Run(progress=stop))
    assert max(sink.frames.values()) <= 4 * 8000


@pytest.mark.long
def test_memory_does_not_grow_with_the_length() -> None:
    def peak(seconds: float) -> int:
        tracemalloc.start()
        Classical(NoConfig()).separate(Endless(seconds, channels=1), Counting(), ClassicalOptions(), Run())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5)
    assert peak(110) < 1.1 * peak(55)


@pytest.mark.parametrize("field", ["window_seconds", "bass_hz"])
def test_options_are_held_to_their_ranges(field: str) -> None:
    with pytest.raises(ValidationError):
        ClassicalOptions.model_validate({field: 1})


def test_it_has_no_models() -> None:
    assert Classical(NoConfig()).stems_of(None) == STEMS
    with pytest.raises(errors.InvalidParameter, match="no models"):
        Classical(NoConfig()).stems_of("htdemucs")
