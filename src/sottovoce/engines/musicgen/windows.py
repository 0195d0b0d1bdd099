"""How music longer than the model's 30 s is made: in windows that begin with the last 12 s of what there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Frames of sound a second; a frame is one token of each codebook.
FRAMES_A_SECOND = 50
WINDOW, CONTEXT = 30 * FRAMES_A_SECOND, 12 * FRAMES_A_SECOND


@dataclass(frozen=True)
class Window:
    """One call of the model: where it begins, how many frames it begins with are known, and how many it has in all."""

    start: int
    context: int
    frames: int

    @property
    def end(self) -> int:
        """The frame after its last one."""
        return self.start + self.frames


def windows(frames: int) -> tuple[Window, ...]:
    """The windows that make so many frames: one if they fit, else each goes on for up to 18 s."""
    return tuple(_windows(frames))


def _windows(frames: int) -> Iterator[Window]:
    done = min(frames, WINDOW)
    yield Window(0, 0, done)
    while done < frames:
        new = min(frames - done, WINDOW - CONTEXT)
        yield Window(done - CONTEXT, CONTEXT, CONTEXT + new)
        done += new
