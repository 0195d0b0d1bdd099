"""The composer in numbers: row 14 (right over 200 tracks of 30 s) and row 4 (processor time and memory).

    python bench/composer.py [--tracks 200] [--rows 14,4]

Row 14 asks for a key in every track and for a tempo in every track with a kit; textures are off, so that a click is a fault and not vinyl.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from sottovoce.audio import Audio
from sottovoce.composer.brief import Brief
from sottovoce.composer.compose import Piece, compose
from sottovoce.composer.render import Rendered, render
from sottovoce.composer.stylebook import stylebook
from sottovoce.dsp.inspect import Inspection, inspect
from sottovoce.dsp.key import key
from sottovoce.dsp.tempo import octave_error, tempo
from sottovoce.moods import MOODS
from sottovoce.prompt import Key

SECONDS = 30.0
RUNS = 3


@dataclass(frozen=True)
class Outcome:
    """One track judged: what was asked and whether it came out."""

    name: str
    key: bool
    key_found: str
    tempo: bool | None
    tempo_found: float
    inspection: Inspection
    exact: bool
    loudness_error: float


def made(brief: Brief, *, stems: bool = False) -> tuple[Piece, Rendered]:
    piece = compose(brief)
    plan = piece.plan
    return piece, render(piece.notation, mix=plan.mix, seed=plan.seed, loudness=plan.loudness, stems=stems)


def brief_for(index: int) -> Brief:
    styles = list(stylebook())
    style = styles[index % len(styles)]
    mood = MOODS[index // len(styles) % len(MOODS)] if index % 2 else None
    asked = Key(index * 7 % 12, minor=index // 12 % 2 == 1)
    bpm = 66.0 + (index * 13) % 50 if style == "lofi" else None
    return Brief(style, SECONDS, index, bpm=bpm, key=asked, mood=mood, without=("texture",))


def judged(index: int) -> Outcome:
    brief = brief_for(index)
    piece, rendered = made(brief)
    audio: Audio = rendered.mix
    found = key(audio.samples, audio.rate)
    asked = piece.plan.key
    kit = any(part.instrument.startswith("drum_kit") for part in piece.notation.parts)
    pulse = tempo(audio.samples, audio.rate) if kit else None
    frames = round(brief.seconds * audio.rate)
    inspection = inspect(audio, expected_frames=frames, target_lufs=piece.plan.loudness)
    return Outcome(
        name=f"{index} {brief.words} {brief.mood or ''} {asked} {piece.plan.mode} {piece.plan.bpm:.0f} {piece.plan.meter.name}",
        key=found.agrees(asked.root, minor=asked.minor),
        key_found=found.key,
        tempo=octave_error(pulse.bpm, piece.plan.bpm) <= 0.01 if pulse else None,
        tempo_found=pulse.bpm if pulse else 0.0,
        inspection=inspection,
        exact=audio.frames == frames,
        loudness_error=abs((inspection.lufs or -99.0) - piece.plan.loudness),
    )


def row_14(tracks: int) -> None:
    outcomes = []
    for index in range(tracks):
        outcomes.append(judged(index))
        print(f"\r{index + 1}/{tracks}", end="", file=sys.stderr)
    print(file=sys.stderr)
    kits = [outcome for outcome in outcomes if outcome.tempo is not None]
    faults = Counter(fault.code for outcome in outcomes for fault in outcome.inspection.faults)
    print(f"### Row 14: {tracks} tracks of {SECONDS:g} s\n\n| figure | reach | found |\n|---|---|---|")
    print(f"| asked key found (relative or fifth allowed) | >= 95 % | {share(o.key for o in outcomes)} |")
    print(f"| asked tempo found (octave free, {len(kits)} with kit) | >= 98 % | {share(bool(o.tempo) for o in kits)} |")
    print(f"| exact length | 100 % | {share(o.exact for o in outcomes)} |")
    print(f"| loudness, farthest from asked | <= 0.3 LU | {max(o.loudness_error for o in outcomes):.2f} LU |")
    print(f"| highest true peak | <= -1 dBTP | {max(o.inspection.true_peak_db or -99 for o in outcomes):.2f} dBTP |")
    print(f"| tracks with a gap of 0.6 s or more | 0 | {sum(o.inspection.longest_gap >= 0.6 for o in outcomes)} |")
    print(f"| tracks with clicks | 0 | {sum(o.inspection.clicks > 0 for o in outcomes)} |")
    print(f"| tracks that fail inspection | 0 | {sum(not o.inspection.passed for o in outcomes)} |")
    print(f"\nFaults by code: {dict(faults)}\n")
    for outcome in outcomes:
        hard = [fault.message for fault in outcome.inspection.faults if fault.hard]
        wrong = [] if outcome.key else [f"key {outcome.key_found}"]
        wrong += [] if outcome.tempo in (None, True) else [f"tempo {outcome.tempo_found:.2f}"]
        if wrong or hard:
            print(f"- {outcome.name}: {'; '.join([*wrong, *hard])}")


def share(values: object) -> str:
    listed = list(values)  # type: ignore[call-overload]
    return f"{sum(listed)} of {len(listed)} ({100 * sum(listed) / max(1, len(listed)):.1f} %)"


def processor_seconds(style: str, seconds: float, runs: int) -> float:
    times = []
    for run in range(runs):
        start = time.process_time()
        piece, rendered = made(Brief(style, seconds, 7), stems=True)
        inspect(rendered.mix, expected_frames=round(seconds * 48_000), target_lufs=piece.plan.loudness)
        times.append(time.process_time() - start if run or runs == 1 else float("inf"))
    return min(times)


def row_4() -> None:
    print("### Row 4: compose, render with stems, inspect; one core\n")
    print("| style | 60 s | 600 s | 600 s / 60 s | peak memory at 600 s |\n|---|---|---|---|---|")
    for style in stylebook():
        short = processor_seconds(style, 60.0, RUNS + 1)
        answer = subprocess.run(
            [sys.executable, __file__, "--measure", style], check=True, capture_output=True, text=True
        ).stdout.split()
        long, megabytes = float(answer[0]), float(answer[1])
        print(f"| {style} | {short:.2f} s | {long:.2f} s | {long / short:.1f} | {megabytes:.0f} MB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=200)
    parser.add_argument("--rows", default="14,4")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with threadpool_limits(1, user_api="blas"):  # type: ignore[no-untyped-call]
        if asked.measure:
            taken = processor_seconds(asked.measure, 600.0, 1)
            print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return
        if "14" in asked.rows.split(","):
            row_14(asked.tracks)
        if "4" in asked.rows.split(","):
            row_4()


if __name__ == "__main__":
    main()
