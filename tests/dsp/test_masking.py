from collections.abc import Iterable

import numpy as np
import pytest

from sottovoce.audio import Samples
from sottovoce.dsp.masking import StreamMasking
from sottovoce.dsp.spectrum import Floats, Spectra

SIZE, BLOCK = 256, 40


def low_and_high(spectra: Spectra, window: Floats, first: int) -> list[Floats]:
    low = np.zeros((spectra.shape[1], 1), np.float32)
    low[:20] = 1
    return [low, 0.5 * (1 - low)]


def part_by_window(spectra: Spectra, window: Floats, first: int) -> list[Floats]:
    """A mask that depends on all it is shown, so that any change of the window would be heard."""
    return [
        np.full((1, 1), min(1.0, float(window.mean())), np.float32) * (window[:, first : first + spectra.shape[2]] > 0)
    ]


def run(stream: StreamMasking, blocks: Iterable[Samples]) -> list[Samples]:
    pieces = [piece for block in blocks for piece in stream.push(block)]
    pieces += list(stream.flush())
    return [np.concatenate(parts, axis=1) for parts in zip(*pieces, strict=True)]


def noise(channels: int, frames: int) -> Samples:
    return np.random.default_rng(frames).standard_normal((channels, frames)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 128, 2560, 10_001])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_parts_add_up_at_any_length(channels: int, frames: int) -> None:
    samples = noise(channels, frames)
    parts = run(StreamMasking(channels, SIZE, low_and_high, parts=2, block=BLOCK, around=2), [samples])
    assert [part.shape for part in parts] == [samples.shape] * 3
    assert all(part.dtype == np.float32 for part in parts)
    np.testing.assert_allclose(sum(parts), samples, atol=1e-5)


def test_nothing_gives_nothing() -> None:
    stream = StreamMasking(2, SIZE, low_and_high, parts=2, block=BLOCK, around=2)
    assert [*stream.push(noise(2, 0)), *stream.flush()] == []


@pytest.mark.parametrize("step", [1000, 64, 5000, 12_345])
def test_where_the_pushes_are_cut_changes_nothing(step: int) -> None:
    samples = noise(2, 20_000)

    def parts(size: int) -> list[Samples]:
        stream = StreamMasking(2, SIZE, part_by_window, parts=1, block=BLOCK, around=1)
        return run(stream, (samples[:, at : at + size] for at in range(0, 20_000, size)))

    for cut, whole in zip(parts(step), parts(20_000), strict=True):
        np.testing.assert_array_equal(cut, whole)


def test_a_mask_takes_its_share() -> None:
    time = np.arange(10_000) / 8000
    tones = [np.sin(2 * np.pi * hertz * time)[None].astype(np.float32) for hertz in (200, 3000)]
    low, high, rest = run(StreamMasking(1, SIZE, low_and_high, parts=2, block=BLOCK, around=0), [tones[0] + tones[1]])
    inside = slice(500, -500)
    np.testing.assert_allclose(low[:, inside], tones[0][:, inside], atol=0.02)
    np.testing.assert_allclose(high[:, inside], 0.5 * tones[1][:, inside], atol=0.02)
    np.testing.assert_allclose(rest[:, inside], 0.5 * tones[1][:, inside], atol=0.02)
