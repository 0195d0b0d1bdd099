"""Other channels and rates: surround to stereo to mono, by the names of the speakers, and resampling on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import Samples
from sottovoce.dsp.resample import StreamResampler
from sottovoce.errors import InvalidParameter

_HALF_POWER = math.sqrt(0.5)
#: What a speaker gives to left and right, ITU-R BS.775-3 annex 4: centre and surrounds at -3 dB, no low-frequency channel.
_SHARE = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (_HALF_POWER, _HALF_POWER),
    "LFE": (0.0, 0.0),
    "BL": (_HALF_POWER, 0.0),
    "BR": (0.0, _HALF_POWER),
    "SL": (_HALF_POWER, 0.0),
    "SR": (0.0, _HALF_POWER),
    "BC": (0.5, 0.5),
    "FLC": (1.0, 0.0),
    "FRC": (0.0, 1.0),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
}
#: The speakers meant where a file names none, in the order of WAV.
_USUAL = {
    3: "FL FR FC",
    4: "FL FR BL BR",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}


def unnamed(channels: int) -> tuple[str, ...]:
    """The speakers of sound that is just so many channels: the usual ones are meant."""
    return ("",) * channels


class Mixer:
    """Turns blocks with the named speakers into `channels` channels (1, 2, or as many as there are).

    Surround folds down to stereo with its centre at -3 dB and without LFE, not scaled back: loud surround can pass full scale. Mono is the
    mean of left and right, and goes to both. InvalidParameter for other numbers of channels.
    """

    def __init__(self, speakers: tuple[str, ...], channels: int) -> None:
        self.channels = channels
        self._matrix = None if channels == len(speakers) else _matrix(speakers, channels)

    def mix(self, block: Samples) -> Samples:
        """The block in the wanted channels."""
        return block if self._matrix is None else np.asarray(self._matrix @ block, np.float32)


def converted(blocks: Iterable[Samples], mixer: Mixer, *, rate: int, to: int) -> Iterator[Samples]:
    """Blocks of `rate` Hz in the mixer's channels and at `to` Hz; some may be empty."""
    resampler = StreamResampler(rate, to, mixer.channels)
    for block in blocks:
        yield resampler.push(mixer.mix(block))
    yield resampler.flush()


def _matrix(speakers: tuple[str, ...], channels: int) -> NDArray[np.float32]:
    if channels not in (1, 2):
        raise InvalidParameter(f"{len(speakers)} channels become 1 or 2, not {channels}")
    stereo = np.ones((2, 1)) if len(speakers) == 1 else np.array([_SHARE[name] for name in _named(speakers)]).T
    wanted = stereo if channels == 2 else stereo.mean(axis=0, keepdims=True)
    return wanted.astype(np.float32)


def _named(speakers: tuple[str, ...]) -> tuple[str, ...]:
    """The speakers' names, or the usual ones of so many; without names and beyond eight, they go left and right in turn."""
    if all(name in _SHARE for name in speakers) and len(set(speakers)) == len(speakers):
        return speakers
    usual = _USUAL.get(len(speakers))
    return tuple(usual.split()) if usual else tuple("FL" if index % 2 == 0 else "FR" for index in range(len(speakers)))
