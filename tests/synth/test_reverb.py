"""Space: responses decay as asked; the block convolution is the convolution."""

from __future__ import annotations

import numpy as np
import pytest

from sottovoce.synth.reverb import Convolver, Echo, Space, echoes, impulse

RATE = 48_000


@pytest.mark.parametrize(("kind", "seconds"), [("room", 0.8), ("plate", 1.8), ("hall", 4.0)])
def test_a_space_dies_in_its_time(kind: str, seconds: float) -> None:
    response = impulse(Space(kind, seconds, 0.02)).mean(axis=0).astype(np.float64)
    left = np.cumsum(response[::-1] ** 2)[::-1]
    decibel = 10 * np.log10(left / left[0] + 1e-15)
    t30 = np.interp([5, 35], -decibel[:: RATE // 100], np.arange(decibel[:: RATE // 100].size) / 100)
    assert 2 * float(np.diff(t30)[0]) == pytest.approx(seconds, rel=0.2)


def test_a_space_is_wide_above_and_narrow_below() -> None:
    response = impulse(Space("hall", 3.0, 0.02))
    spectrum = np.fft.rfft(response, axis=1)
    hertz = np.fft.rfftfreq(response.shape[1], 1 / RATE)

    def coherence(low: float, high: float) -> float:
        left, right = spectrum[:, (hertz > low) & (hertz < high)]
        return float(np.abs((left * right.conj()).sum()) / np.sqrt((abs(left) ** 2).sum() * (abs(right) ** 2).sum()))

    assert coherence(60, 180) > 0.9
    assert coherence(1_000, 6_000) < 0.6


def test_nothing_answers_before_the_pre_delay() -> None:
    response = impulse(Space("plate", 1.0, 0.03))
    assert np.abs(response[:, : round(0.029 * RATE)]).max() < 1e-2 * np.abs(response).max()


def test_echoes_come_in_time_and_get_quieter() -> None:
    response = np.abs(echoes(Echo(0.5, 0.5, 3))).max(axis=0)
    peaks = [response[round(k * 0.5 * RATE) - 100 : round(k * 0.5 * RATE) + 100].max() for k in (1, 2, 3)]
    assert peaks[0] > 1.5 * peaks[1] > 2 * peaks[2] > 0
    assert response[: round(0.4 * RATE)].max() < 1e-3


@pytest.mark.long
@pytest.mark.parametrize(
    ("sends", "longest", "frames"), [(1, 3_000, 60_000), (3, 9_000, 300_000), (5, 300_000, 500_000)]
)
def test_convolving_blocks_is_convolving_the_whole(sends: int, longest: int, frames: int) -> None:
    rng = np.random.default_rng(sends)
    responses = [rng.standard_normal((2, longest - 500 * k)).astype(np.float32) for k in range(sends)]
    sound = rng.standard_normal((sends, frames)).astype(np.float32)
    convolver = Convolver(responses, frames)
    blocks = range(0, frames, convolver.block)
    wet = np.concatenate([convolver.feed(list(sound[:, at : at + convolver.block])) for at in blocks], axis=2)
    assert wet.shape == (sends, 2, frames)
    for row, response, dry in zip(wet, responses, sound, strict=True):
        size = frames + longest
        exact = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)[:, :frames]
        assert np.abs(row - exact).max() < 1e-4 * np.abs(exact).max()
