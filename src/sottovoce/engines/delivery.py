"""What came from elsewhere, as it is delivered: 48 kHz stereo, exactly as long as asked, at the asked loudness."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio, Samples
from sottovoce.dsp.crossfade import loop_to
from sottovoce.dsp.limiter import limit
from sottovoce.dsp.loudness import gain_for, integrated
from sottovoce.dsp.mixdown import fade
from sottovoce.dsp.tempo import tempo
from sottovoce.media.decode import FileReader

#: The loudness of music for which none was asked, in LUFS.
USUAL_LUFS = -16.0
_CEILING_DB = -1.0
#: Up to so many seconds may be cut off, or filled with silence, with nothing lost.
_LITTLE = 0.25
_SHORT_FADE = 0.03
_LONGEST_FADE = 1.5
#: Less than this share of the asked length is no answer to what was asked.
_LEAST_SHARE = 0.5
#: Of what is longer than asked, so many seconds are looked at.
_SPARE = 10
_BLOCK = 1 << 18


def delivered(
    path: Path, seconds: float, loudness: float | None, *, loops: bool = True, who: str
) -> tuple[Audio, list[str]]:
    """The sound of a file as it is delivered, and what is to be said of it.

    What is longer is cut with a fade, on a beat where it may jump (`loops`); what is shorter goes on from one of its beats, or without
    `loops` ends in silence. RemoteFailed for a file that holds no sound, or hardly half the length.
    """
    frames = round(seconds * DELIVERY_RATE)
    music = _read(path, frames + _SPARE * DELIVERY_RATE, who)
    off = (music.shape[1] - frames) / DELIVERY_RATE
    if music.shape[1] < _LEAST_SHARE * frames:
        raise errors.RemoteFailed(
            f"{who} made {music.shape[1] / DELIVERY_RATE:.1f} s where {seconds:g} s were asked for"
        )
    notes = []
    if abs(off) <= _LITTLE or not loops:
        fitted = _cut_or_filled(music, frames)
        if off < -_LITTLE:
            notes.append(f"{who} made {-off:.2f} s less than was asked for; the end is silent")
    else:
        fitted = loop_to(music, DELIVERY_RATE, frames, beats=tempo(music, DELIVERY_RATE).beats)
        if off < 0:
            notes.append(f"{who} made {-off:.2f} s less than was asked for; it was looped on its beats")
    return Audio(_levelled(fitted, USUAL_LUFS if loudness is None else loudness), DELIVERY_RATE), notes


def _read(path: Path, most: int, who: str) -> Samples:
    """The sound of a file, at most so many frames and a little more of it."""
    blocks: list[Samples] = []
    try:
        for block in FileReader(path, rate=DELIVERY_RATE, channels=2).blocks(_BLOCK):
            blocks.append(block)
            if len(blocks) * _BLOCK > most:
                break
    except errors.InputError as error:
        raise errors.RemoteFailed(f"{who} sent something that is no sound: {error.message}") from error
    music = np.concatenate(blocks, axis=1)
    if not music.any():
        raise errors.ModelInferenceFailed(f"{who} made silence")
    return music


def _cut_or_filled(music: Samples, frames: int) -> Samples:
    """Faded out where it is cut or filled, but for a few samples more or less."""
    off = music.shape[1] - frames
    if off == 0:
        return music
    length = _SHORT_FADE if abs(off) <= _LITTLE * DELIVERY_RATE else _LONGEST_FADE
    ended = fade(music[:, :frames], DELIVERY_RATE, 0.0, min(length, frames / DELIVERY_RATE / 3))
    return np.pad(ended, ((0, 0), (0, max(0, -off))))


def _levelled(music: Samples, loudness: float) -> Samples:
    """At a loudness in LUFS, with true peaks below -1 dBTP."""
    gain = gain_for(loudness, integrated(music, DELIVERY_RATE))
    limited, _ = limit(music * np.float32(gain), DELIVERY_RATE, ceiling_db=_CEILING_DB)
    return limited
