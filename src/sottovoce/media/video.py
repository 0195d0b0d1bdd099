"""Pictures of a video, its cuts, and a new sound track under it."""

from __future__ import annotations

from pathlib import Path

from sottovoce.media.footage import Footage, open_footage
from sottovoce.media.picture import Keyframe
from sottovoce.media.probe import probe
from sottovoce.media.remux import replace_sound
from sottovoce.media.survey import Cut, Survey, survey

__all__ = ["Cut", "Keyframe", "Survey", "cuts", "glance", "keyframes", "replace_sound", "survey"]

#: A picture of `keyframes` may be this much of the distance between two of them early, if a key picture lies there.
_NEAR = 0.25
#: So many frames are decoded at most to come closer.
_PATIENCE = 600


def glance(path: Path, *, width: int = 64, most: int = 600) -> list[Keyframe]:
    """Small pictures over the whole video, at most `most`; `survey` gives these and the cuts for the same work."""
    return list(survey(path, width=width, most=most).pictures)


def cuts(path: Path) -> list[Cut]:
    """The cuts between the video's shots, in order."""
    return list(survey(path).cuts)


def keyframes(path: Path, *, count: int, width: int = 512) -> list[Keyframe]:
    """`count` pictures spaced evenly over the video, `width` wide, upright; fewer if it has fewer.

    They lie near seconds · i / (count + 1), i from 1 to `count`; `seconds` of each says where. UnsupportedFormat without a moving picture.
    """
    seconds = probe(path).seconds
    spacing = seconds / (count + 1)
    found: list[Keyframe] = []
    with open_footage(path) as footage:
        for index in range(1, count + 1):
            picture = _picture_at(footage, spacing * index, spacing * _NEAR, width)
            if picture is not None and (not found or picture.seconds > found[-1].seconds):
                found.append(picture)
    return found


def _picture_at(footage: Footage, seconds: float, near: float, width: int) -> Keyframe | None:
    """The key picture at most `near` seconds before a time, or the frame there."""
    footage.seek(seconds)
    last = None
    for packet, _ in zip(footage.packets(), range(_PATIENCE), strict=False):
        for frame in footage.frames(packet):
            last = frame
            if footage.seconds(frame.pts) >= seconds - near:
                return footage.small(frame, width)
    return None if last is None else footage.small(last, width)
