"""Music to start from: as the pipeline takes it, and put back where it was to stay as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, AudioReader, Samples
from sottovoce.dsp.crossfade import join
from sottovoce.dsp.loudness import rms_db
from sottovoce.dsp.mixdown import with_gain
from sottovoce.engines.ace_step.presets import LONGEST_SECONDS, SHORTEST_SECONDS
from sottovoce.media.channels import Mixer, converted, unnamed
from sottovoce.prompt import Edit, Prompt

#: Samples that a latent frame stands for.
LATENT = 1920
#: Of music that goes on, so many seconds are made anew as well, and the two go over into each other there.
_OVERLAP = 0.5
_JOIN = 0.05
_MOST_GAIN_DB = 24.0
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Editing:
    """What an edit comes to: the task as the pipeline calls it, the source [2, frames] at 48 kHz, and from where to where it is made anew.

    `kept` is the source as it is without the silence after it; where all of it is made anew, `start` is 0 and `end` its length.
    """

    task: str
    source: Samples
    kept: Samples
    start: float
    end: float
    strength: float = 1.0

    @property
    def keeps(self) -> bool:
        """Whether part of the source stays."""
        return self.task == "repaint"


def editing_of(prompt: Prompt) -> Editing | None:
    """What a prompt's edit comes to; InvalidParameter or InvalidDuration for one that cannot be done, None where there is none."""
    edit = prompt.edit
    if edit is None:
        return None
    _check_strength(edit)
    length = edit.source.frames / edit.source.rate
    if not 0 < length <= LONGEST_SECONDS:
        raise errors.InvalidDuration(
            f"ACE-Step works from sources of up to {LONGEST_SECONDS:g} seconds, not {length:.1f}"
        )
    start, end = _window(edit, length, prompt.seconds)
    kept = _stereo(edit.source)
    frames = max(kept.shape[1], round(max(prompt.seconds, SHORTEST_SECONDS) * DELIVERY_RATE))
    padded = np.pad(kept, ((0, 0), (0, -(-frames // LATENT) * LATENT - kept.shape[1])))
    task = "cover" if edit.task == "cover" else "repaint"
    return Editing(task, padded, kept, start, end, edit.strength)


def reference_of(prompt: Prompt) -> Samples | None:
    """The music to sound like, [2, frames] at 48 kHz; InvalidParameter if there is nothing in it."""
    if prompt.reference is None:
        return None
    reference = _stereo(prompt.reference)
    if not reference.any():
        raise errors.InvalidParameter("the reference is silent; give music to sound like")
    return reference


def restored(made: Samples, editing: Editing) -> Samples:
    """What was made [2, frames], with the source as it was wherever it was to stay; what is new comes at the source's level."""
    if not editing.keeps:
        return made
    first, last = (round(seconds * DELIVERY_RATE) for seconds in (editing.start, editing.end))
    kept, frames = editing.kept, round(_JOIN * DELIVERY_RATE)
    fresh = with_gain(made, _level(made, kept, first, last))
    if last > kept.shape[1]:
        # What goes on from the source's end fades in over all that both have.
        frames = kept.shape[1] - first
    head = min(first + frames, kept.shape[1])
    whole = join(kept[:, :head], fresh[:, first:], head - first) if first > 0 else fresh
    if last >= kept.shape[1]:
        return whole
    return join(whole[:, :last], kept[:, max(0, last - frames) :], frames)


def _level(made: Samples, kept: Samples, first: int, last: int) -> float:
    """The gain in dB that brings what was made to the level of the source, as the parts that stay tell."""
    outside = np.ones(kept.shape[1], bool)
    outside[first:last] = False
    common = min(made.shape[1], kept.shape[1])
    theirs, ours = kept[:, :common][:, outside[:common]], made[:, :common][:, outside[:common]]
    if not theirs.any() or not ours.any():
        theirs, ours = kept, made
    apart = rms_db(theirs) - rms_db(ours)
    return float(np.clip(apart, -_MOST_GAIN_DB, _MOST_GAIN_DB)) if np.isfinite(apart) else 0.0


def _window(edit: Edit, length: float, seconds: float) -> tuple[float, float]:
    if edit.task == "cover":
        return 0.0, length
    if edit.task == "extend":
        if seconds <= length:
            raise errors.InvalidDuration(f"the music is {length:.1f} s long already; extend it to more than that")
        return max(0.0, length - _OVERLAP), seconds
    end = length if edit.end is None else edit.end
    if not 0 <= edit.start < end <= length + 1e-6:
        raise errors.InvalidParameter(
            f"a repaint goes from a time to a later one within the {length:.1f} s of the source, not from {edit.start:g} to {end:g} s"
        )
    return edit.start, min(end, length)


def _check_strength(edit: Edit) -> None:
    if not 0 <= edit.strength <= 1:
        raise errors.InvalidParameter(f"the strength of a cover is 0 to 1, not {edit.strength:g}")


def _stereo(reader: AudioReader) -> Samples:
    blocks = reader.blocks(_BLOCK)
    stereo = converted(blocks, Mixer(unnamed(reader.channels), 2), rate=reader.rate, to=DELIVERY_RATE)
    samples = np.concatenate(list(stereo), axis=1)
    if not np.isfinite(samples).all():
        raise errors.CorruptMedia("the source has samples that are no numbers")
    return np.ascontiguousarray(samples, np.float32)
