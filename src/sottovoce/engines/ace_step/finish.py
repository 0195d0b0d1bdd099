"""From what the network gave to what is delivered: exact length, a musical end, the asked loudness."""

from __future__ import annotations

import numpy as np

from sottovoce.audio import DELIVERY_RATE, Samples
from sottovoce.dsp.crossfade import loop_to
from sottovoce.dsp.filters import apply, high_pass
from sottovoce.dsp.levels import amplitude
from sottovoce.dsp.limiter import limit
from sottovoce.dsp.loudness import gain_for, integrated
from sottovoce.dsp.mixdown import fade
from sottovoce.dsp.tempo import tempo
from sottovoce.engines.delivery import USUAL_LUFS

_CEILING_DB = -1.0
#: Less than this is cut off with a short fade; more, and the music fades out over some beats.
_LITTLE, _SHORT_FADE = 0.25, 0.03
#: Below this there is no music, only what pulls the signal off its centre.
_LOWEST_HZ = 18.0
_TRIES, _CLOSE_LU = 4, 0.1


def finished(made: Samples, seconds: float, loudness: float | None, *, keeps: bool = False) -> Samples:
    """Samples [2, n] as they are delivered: `seconds` long, at a loudness in LUFS (the usual one if None), true peaks below -1 dBTP.

    With `keeps`, part of it is music of the user's, which keeps its own loudness unless one is asked for.
    """
    fitted = ended(made, round(seconds * DELIVERY_RATE))
    if keeps:
        return (
            limit(fitted, DELIVERY_RATE, ceiling_db=_CEILING_DB)[0] if loudness is None else levelled(fitted, loudness)
        )
    centred = apply(high_pass(_LOWEST_HZ, DELIVERY_RATE), fitted)
    return levelled(centred, USUAL_LUFS if loudness is None else loudness)


def ended(made: Samples, frames: int) -> Samples:
    """Music cut to `frames` so that it ends rather than breaks off; what is shorter by a little is filled with silence."""
    over = made.shape[1] - frames
    if over <= 0:
        return np.pad(made, ((0, 0), (0, -over)))
    if over <= _LITTLE * DELIVERY_RATE:
        return fade(made[:, :frames], DELIVERY_RATE, 0.0, _SHORT_FADE)
    return loop_to(made, DELIVERY_RATE, frames, beats=tempo(made, DELIVERY_RATE).beats)


def levelled(music: Samples, loudness: float) -> Samples:
    """At a loudness in LUFS under the ceiling; what the limiter takes is given back."""
    gain = gain_for(loudness, integrated(music, DELIVERY_RATE))
    limited = music
    for _ in range(_TRIES):
        limited, _ = limit(music * np.float32(gain), DELIVERY_RATE, ceiling_db=_CEILING_DB)
        off = loudness - integrated(limited, DELIVERY_RATE)
        if not np.isfinite(off) or abs(off) < _CLOSE_LU:
            break
        gain *= amplitude(off)
    return limited
