"""A picture of a score: who speaks when, what the music does, and how loud both are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from sottovoce import errors
from sottovoce.dsp.ducking import CauseKind
from sottovoce.dsp.events import Envelope
from sottovoce.tasks.listening import envelope_of
from sottovoce.tasks.music_parts import PartName, Parts
from sottovoce.tasks.score_report import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT, _CLIP, _MUSIC = "#22303c", "#8a97a3", "#9fb3c4", "#d1495b"
_CAUSES: dict[CauseKind, tuple[str, str]] = {
    "speech": ("#2e86ab", "speech"),
    "sound": ("#e6a23c", "other sounds"),
    "clip music": ("#7b5ea7", "music in the clip"),
}
#: The colours of the parts of the music; the one that moves furthest has the music's own.
_PARTS: dict[PartName, str] = {
    "melody": _MUSIC,
    "vocals": _MUSIC,
    "other": "#c98a1b",
    "bass": "#3d7a5a",
    "drums": _FAINT,
    "accompaniment": _FAINT,
}
#: The levels are means over this many seconds, or over a 600th of the clip if that is more.
_SMOOTH = 0.4
_LOWEST_DB = -70.0


def require_plots() -> None:
    """BackendNotInstalled, with what to type, if pictures cannot be drawn here."""
    if find_spec("matplotlib") is None:
        raise errors.BackendNotInstalled(
            "a plot needs matplotlib, which is not installed", hint="pip install 'sottovoce[plots]'"
        )


def draw(scored: Scored, path: Path) -> None:
    """Write the picture as PNG."""
    require_plots()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.6), dpi=130, facecolor="white", layout="constrained")
    rows = figure.subplots(3, 1, sharex=True, height_ratios=(0.62, 3, 2))
    for axes, paint in zip(rows, (_causes, _levels, _gain), strict=True):
        _plain(axes)
        paint(axes, scored)
    rows[0].set_title(_title(scored), loc="left", fontsize=12, color=_INK, pad=12)
    rows[2].set_xlim(0, max(scored.seconds, 1e-3))
    rows[2].xaxis.set_major_formatter(lambda seconds, _position: f"{int(seconds) // 60}:{seconds % 60:02.0f}")
    rows[2].set_xlabel("time (min:s)", color=_FAINT, fontsize=9)
    figure.savefig(path, format="png")


def _title(scored: Scored) -> str:
    if scored.music is None:
        return "Voices brought to their loudness, no music"
    down = scored.curve.lowered(scored.seconds)
    how = f"in {len(scored.parts.parts)} parts by up to" if scored.parts else "by"
    return f"Music lowered {how} {scored.ducking.depth:.1f} dB for {down:.1f} of {scored.seconds:.1f} s"


def _causes(axes: Axes, scored: Scored) -> None:
    kinds = [kind for kind in _CAUSES if any(cause.kind == kind for cause in scored.causes)] or ["speech"]
    for row, kind in enumerate(kinds):
        stretches = [(cause.start, cause.end - cause.start) for cause in scored.causes if cause.kind == kind]
        axes.broken_barh(stretches, (row + 0.12, 0.76), facecolors=_CAUSES[kind][0], linewidth=0)
    axes.set_ylim(len(kinds), 0)
    axes.set_yticks([row + 0.5 for row in range(len(kinds))], [_CAUSES[kind][1] for kind in kinds], fontsize=9)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)


def _levels(axes: Axes, scored: Scored) -> None:
    top = -20.0
    for cause in scored.causes:
        axes.axvspan(cause.start, cause.end, color=_CAUSES[cause.kind][0], alpha=0.09, linewidth=0)
    if scored.heard:
        times, level = _smoothed(scored.heard.envelope, scored.voice.gain_db, scored.seconds)
        axes.fill_between(times, _LOWEST_DB, level, color=_CLIP, alpha=0.75, linewidth=0, label="the clip")
        top = max(top, level.max())
    if scored.music:
        times, level = _smoothed(envelope_of(scored.music.reader), scored.music_gain_db, scored.seconds)
        fades = scored.fades.gain_at(times, scored.seconds)
        heard = level + _lowered(scored, times) + 20 * np.log10(np.maximum(fades, 1e-6))
        axes.plot(
            times, level, color=_MUSIC, alpha=0.35, linewidth=0.9, linestyle=(0, (2, 2)), label="the music, not lowered"
        )
        axes.plot(times, np.maximum(heard, _LOWEST_DB), color=_MUSIC, linewidth=1.7, label="the music")
        top = max(top, level.max())
    axes.set_ylim(_LOWEST_DB, top + 6)
    axes.set_ylabel("level (dB RMS)", color=_FAINT, fontsize=9)
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=9, labelcolor=_INK)


def _lowered(scored: Scored, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many dB the music as a whole is moved at some times: as its parts are, each by its power."""
    if scored.parts is None:
        return np.asarray(scored.curve.decibels(times), np.float64)
    before, after = np.full(len(times), 1e-12), np.full(len(times), 1e-12)
    for part in scored.parts.parts:
        power = 10 ** (np.resize(_smoothed(part.envelope, 0.0, scored.seconds)[1], len(times)) / 10)
        before += power
        after += power * 10 ** (scored.curve_of(part).decibels(times) / 10)
    return np.asarray(10 * np.log10(after / before))


def _gain(axes: Axes, scored: Scored) -> None:
    times = np.linspace(0, scored.seconds, min(6000, max(2, round(scored.seconds * 50))))
    gain = scored.curve.decibels(times)
    axes.fill_between(times, gain, 0, color=_MUSIC, alpha=0.14 if scored.parts is None else 0.06, linewidth=0)
    axes.set_ylim(-max(float(-gain.min()), 6.0) - 2.5, 1.5)
    axes.set_ylabel("gain of the music (dB)", color=_FAINT, fontsize=9)
    if scored.parts:
        _part_gains(axes, scored, scored.parts, times)
    else:
        axes.plot(times, gain, color=_MUSIC, linewidth=1.5)
    if scored.curve.dips and scored.parts is None:
        _depth(axes, scored.seconds, scored.ducking.depth)


def _part_gains(axes: Axes, scored: Scored, parts: Parts, times: NDArray[np.float64]) -> None:
    """A line for each part, the one that moves least first; its name says how far it is lowered."""
    for part in sorted(parts.parts, key=lambda part: part.share):
        depth = scored.ducking_of(part).depth
        label = f"{part.name} −{depth:.1f} dB" if depth else f"{part.name} not lowered"
        axes.plot(times, scored.curve_of(part).decibels(times), color=_PARTS[part.name], linewidth=1.5, label=label)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=9, labelcolor=_INK)


def _depth(axes: Axes, seconds: float, depth: float) -> None:
    axes.axhline(-depth, color=_FAINT, linewidth=0.7, linestyle=(0, (3, 3)))
    axes.annotate(
        f"−{depth:.1f} dB", (seconds, -depth), (-4, 3), textcoords="offset points", ha="right", fontsize=8.5, color=_FAINT
    )  # fmt: skip


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#d5dbe1")
    axes.tick_params(length=0, colors=_INK, labelsize=9)
    axes.grid(axis="y", color="#eef1f4", linewidth=0.8)
    axes.set_axisbelow(True)


def _smoothed(envelope: Envelope, gain_db: float, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and level in dB, at most 6000 points."""
    size = max(1, round(max(_SMOOTH, seconds / 600) / envelope.hop))
    power = uniform_filter1d(np.square(envelope.rms, dtype=np.float64), size, mode="nearest")
    step = max(1, len(power) // 6000)
    level = 10 * np.log10(np.maximum(power[::step], 1e-12)) + gain_db
    times = step * envelope.hop * np.arange(len(level), dtype=np.float64)
    return times, np.asarray(np.maximum(level, _LOWEST_DB), np.float64)
