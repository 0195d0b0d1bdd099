from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio import Samples
from sottovoce.dsp.spectrum import (
    StreamIstft,
    StreamStft,
    band_levels,
    chroma,
    frequencies,
    istft,
    mel_filters,
    octave_filters,
    onset_envelope,
    size_for,
    stft,
)

RATE = 48_000


def noise(channels: int, frames: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((channels, frames)).astype(np.float32)


def sine(hertz: float, seconds: float = 2.0, rate: int = RATE) -> Samples:
    phase = 2 * np.pi * hertz / rate * np.arange(round(seconds * rate))
    return np.asarray(0.3 * np.sin(phase)[None], np.float32)


@given(
    frames=st.integers(0, 5000), size=st.sampled_from([(64, 16), (256, 128), (2048, 512)]), channels=st.integers(1, 3)
)
@settings(max_examples=40, deadline=None)
def test_gives_the_samples_back(frames: int, size: tuple[int, int], channels: int) -> None:
    samples = noise(channels, frames)
    spectra = stft(samples, *size)
    assert spectra.dtype == np.complex64
    assert spectra.shape == (channels, size[0] // 2 + 1, -(-frames // size[1]) + 1)
    again = istft(spectra, frames, *size)
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, samples, atol=2e-5)


@given(cuts=st.lists(st.integers(0, 3000), max_size=6))
@settings(max_examples=25, deadline=None)
def test_blocks_make_no_difference(cuts: list[int]) -> None:
    samples = noise(2, 3000)
    analysis, synthesis = StreamStft(2, 256, 64), StreamIstft(2, 256, 64)
    edges = [0, *sorted(cuts), 3000]
    spectra = [analysis.push(samples[:, a:b]) for a, b in pairwise(edges)] + [analysis.flush()]
    np.testing.assert_array_equal(np.concatenate(spectra, axis=2), stft(samples, 256, 64))
    blocks = [synthesis.push(part) for part in spectra] + [synthesis.flush()]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1)[:, :3000], samples, atol=2e-5)


def test_sizes_that_cannot_reconstruct_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        stft(noise(1, 100), 64, 48)


def test_a_sine_peaks_in_its_bin() -> None:
    loudest = np.abs(stft(sine(1000))[0]).mean(axis=1).argmax()
    assert frequencies(RATE, 2048)[loudest] == pytest.approx(1000, abs=RATE / 2048 / 2)


def test_size_is_the_nearest_power_of_two() -> None:
    assert [size_for(rate, 0.085) for rate in (8000, 44_100, 48_000, 96_000)] == [512, 4096, 4096, 8192]


def test_octave_bands_share_out_every_bin_once() -> None:
    bands = octave_filters(RATE, 4096)
    at = frequencies(RATE, 4096)
    inside = (at >= 31.25 / 2**0.5) & (at < 16_000 * 2**0.5)
    assert bands.shape[0] == 10
    np.testing.assert_array_equal(bands.sum(axis=0)[inside], 1)


def test_band_levels_are_the_power_of_each_band() -> None:
    levels = band_levels(sine(1000), octave_filters(RATE, 2048), 2048, 512)
    assert levels.dtype == np.float32
    assert (levels[5, 2:-2] > 100 * np.delete(levels[:, 2:-2], 5, axis=0).max(axis=0)).all()


def test_mel_bands_above_half_the_rate_are_empty() -> None:
    assert not mel_filters(8000, 512)[-1].any()
    assert mel_filters(RATE, 2048).any(axis=1).all()


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_onsets_peak_where_a_click_is(rate: int) -> None:
    samples = np.zeros((2, 2 * rate), np.float32)
    samples[:, rate] = 0.8
    envelope, hop = onset_envelope(samples, rate)
    assert envelope.argmax() * hop == pytest.approx(1.0, abs=0.015)
    assert hop == pytest.approx(0.01, rel=0.02)


def test_silence_has_no_onsets() -> None:
    envelope, _ = onset_envelope(np.zeros((1, RATE), np.float32), RATE)
    assert not envelope.any()


@pytest.mark.parametrize("cents", [-30, 0, 20])
def test_chroma_finds_the_note_and_the_tuning(cents: float) -> None:
    found = chroma(sine(440 * 2 ** (cents / 1200), 4.0), RATE)
    assert found.classes.sum(axis=1).argmax() == 9
    assert found.tuning == pytest.approx(cents, abs=3)


def test_only_low_notes_are_bass() -> None:
    found = chroma(sine(110, 3.0) + sine(660, 3.0), RATE)
    assert found.bass.sum(axis=1).argmax() == 9
    assert found.bass[4].sum() == 0
    assert found.classes[4].sum() > 0
