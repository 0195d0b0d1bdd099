"""A picture as a JPEG file in memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

#: MPEG's scale: 2 is the finest.
_FINENESS = "2"


def jpeg(pixels: NDArray[np.uint8], *, widest: int = 512) -> bytes:
    """RGB pixels [height, width, 3] as JPEG, made smaller where they are wider than `widest`."""
    height, width = pixels.shape[:2]
    share = min(1.0, widest / width)
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = max(1, round(width * share)), max(1, round(height * share))
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    context.options = {"qmin": _FINENESS, "qmax": _FINENESS}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
        width=context.width, height=context.height, format="yuvj420p", interpolation="AREA"
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
