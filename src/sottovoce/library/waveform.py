"""Pictures of a track's sound: its outline, its spectrogram."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sottovoce.dsp.palette import coloured
from sottovoce.dsp.spectrogram import spectrogram
from sottovoce.library.track import Track
from sottovoce.media.decode import FileReader
from sottovoce.media.png import png

#: Samples read at a time, about.
_BLOCK = 1 << 20


def outline(track: Track, path: Path, points: int) -> list[float]:
    """The highest level (full scale 1) in each of `points` equal parts of a track, whose sound is in `path`; fewer if it is very short."""
    reader = FileReader(path)
    part = max(1, round(track.seconds * reader.rate / points + 0.5))
    tops: list[float] = []
    for block in reader.blocks(part * max(1, _BLOCK // part)):
        levels = np.abs(block).max(axis=0)
        tops += np.maximum.reduceat(levels, np.arange(0, len(levels), part)).tolist()
    return [round(top, 4) for top in tops[:points]]


def picture(track: Track, path: Path, *, width: int, height: int) -> bytes:
    """The spectrogram of a track, whose sound is in `path`, as a PNG of that size: low at the bottom, the loudest in the lightest colour."""
    reader = FileReader(path, channels=1)
    mono = (block[0] for block in reader.blocks(_BLOCK // 8))
    frames = max(1, round(track.seconds * reader.rate))
    levels = spectrogram(mono, reader.rate, frames, width=width, height=height)
    return png(coloured(levels[::-1]))
