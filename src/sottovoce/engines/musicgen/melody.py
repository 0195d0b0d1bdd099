"""The melody of a recording as MusicGen follows it: which of the twelve pitch classes is strongest, about eight times a second.

The features are those of transformers' MusicgenMelodyFeatureExtractor, which cannot be used without torchaudio.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import AudioReader, Samples
from sottovoce.dsp.resample import resample

PITCH_CLASSES = 12
_WINDOW, _HOP = 16_384, 4_096
_SPAN_SECONDS = 30
_LONGEST_SECONDS = 600
_BLOCK = 1 << 18


def heard(source: AudioReader, rate: int) -> NDArray[np.float32]:
    """The first ten minutes of a recording at a rate in Hz, all channels as one: [frames]."""
    blocks: list[Samples] = []
    for block in source.blocks(_BLOCK):
        blocks.append(block.mean(axis=0, keepdims=True, dtype=np.float32))
        if len(blocks) * _BLOCK >= _LONGEST_SECONDS * source.rate:
            break
    sound = np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)
    return np.asarray(resample(sound, source.rate, rate)[0], np.float32)


def excerpt(sound: NDArray[np.float32], start: int, rate: int) -> NDArray[np.float32]:
    """The 30 s from a frame on, beginning anew where the sound ends; from its start, a shorter sound stays as it is."""
    span = _SPAN_SECONDS * rate
    if start == 0:
        return sound[:span]
    return np.take(sound, np.arange(start, start + span), mode="wrap")


def chroma(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """One for the strongest pitch class (from C on) of each moment and zero for the others: [moments, 12]; `sound` is [frames]."""
    from transformers.audio_utils import chroma_filter_bank

    filters = chroma_filter_bank(sampling_rate=rate, num_frequency_bins=_WINDOW, tuning=0, num_chroma=PITCH_CLASSES)
    strengths: NDArray[np.float64] = _powers(sound) @ filters.T
    marks: NDArray[np.float32] = np.eye(PITCH_CLASSES, dtype=np.float32)[strengths.argmax(axis=1)]
    return marks


def _powers(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """The power spectrum of each moment: [moments, bins]."""
    missing = max(0, _WINDOW - len(sound))
    padded = np.pad(sound, (missing // 2, missing - missing // 2))
    padded = np.pad(padded, _WINDOW // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    moments = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    return np.asarray(np.square(np.abs(np.fft.rfft(moments * window, axis=1))), np.float64)
