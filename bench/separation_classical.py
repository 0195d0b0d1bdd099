"""Classical separation in numbers: how much cleaner each stem is than the mix, its speed, and rows 3 and 17 (memory, null).

    python bench/separation_classical.py [--clips DIR] [--minutes 1,60]

Mixtures with known parts: each voice over each piece of music at equal level, in stereo and in mono, and the composer's own stems.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem, read_all
from sottovoce.dsp.separation import BASS, DRUMS, STEMS, VOCALS
from sottovoce.engines.base import NoConfig, Run
from sottovoce.engines.classical import Classical, ClassicalOptions
from sottovoce.engines.composer import Composer, ComposerOptions
from sottovoce.media.decode import decode
from sottovoce.prompt import Prompt

RATE = 48_000
VOICES = ("speech_jfk.flac", "singing_vocadito_10.wav")
MUSIC = (
    "music_calm_acoustic_1.opus",
    "music_nostalgic_acoustic_1.opus",
    "music_happy_electronic_1.opus",
    "music_energetic_electronic_2.opus",
)


class Looped:
    """A source of any length made of one piece over and over, never in memory as a whole."""

    def __init__(self, piece: Samples, rate: int, seconds: float) -> None:
        self.piece, self.rate, self.channels, self.frames = piece, rate, piece.shape[0], round(seconds * rate)

    def blocks(self, frames: int) -> Iterator[Samples]:
        for start in range(0, self.frames, frames):
            at = np.arange(start, min(self.frames, start + frames)) % self.piece.shape[1]
            yield self.piece[:, at]


class Nowhere:
    """A sink that keeps nothing."""

    def write(self, stem: Stem, block: Samples) -> None:
        """Drop it."""


def si_sdr(found: Samples, wanted: Samples) -> float:
    """Scale-invariant signal to distortion in dB (Le Roux et al. 2019)."""
    f, w = found.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    aimed = (f @ w) / (w @ w) * w
    return float(10 * np.log10((aimed @ aimed) / ((f - aimed) @ (f - aimed))))


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def split(samples: Samples) -> dict[Stem, Samples]:
    sink = ArrayWriter(RATE)
    Classical(NoConfig()).separate(ArrayReader(Audio(samples, RATE)), sink, ClassicalOptions(), Run())
    return {stem: audio.samples for stem, audio in sink.stems().items()}


def mixture(voice: Samples, music: Samples) -> tuple[Samples, Samples]:
    """24 s of music, and as loud a voice from the sixth second on."""
    music = music[:, RATE : 25 * RATE]
    placed = np.zeros_like(music)
    under = music[:, 6 * RATE : 6 * RATE + voice.shape[1]]
    placed[:, 6 * RATE : 6 * RATE + voice.shape[1]] = voice * (level(under) / level(voice))
    return placed, music


def voices(clips: Path) -> None:
    print("vocals: SI-SDR of the stem less that of the mix (stereo / mono), null of all stems")
    for voice_name in VOICES:
        for music_name in MUSIC:
            voice, music = mixture(
                *(decode(clips / name, rate=RATE, channels=2).samples for name in (voice_name, music_name))
            )
            mix = voice + music
            stems, narrow = split(mix), split(mix.mean(axis=0, keepdims=True))
            gain = si_sdr(stems[VOCALS], voice) - si_sdr(mix, voice)
            mono = si_sdr(narrow[VOCALS], voice[:1]) - si_sdr(mix.mean(axis=0), voice[0])
            left = 20 * np.log10(level(sum(stems.values()) - mix) / level(mix))
            print(f"  {voice_name:24} {music_name:34} {gain:+5.1f} / {mono:+5.1f} dB, null {left:.0f} dB")


def rhythm() -> None:
    print("the composer's lofi: drums, bass")
    for seed in range(4):
        made = Composer().generate(Prompt("lofi", 24, seed, stems=True), ComposerOptions(style="lofi"), Run())
        true = {stem: read_all(reader).samples for stem, reader in made.stems.items()}
        mix, stems = made.audio.samples, split(made.audio.samples)
        gains = [si_sdr(stems[stem], true[stem]) - si_sdr(mix, true[stem]) for stem in (DRUMS, BASS)]
        print(f"  seed {seed}: {gains[0]:+.1f}, {gains[1]:+.1f} dB")


def one_length(clips: Path, minutes: float) -> None:
    """Separate so many minutes in this process, and say what it took."""
    piece = decode(clips / MUSIC[2], rate=RATE, channels=2).samples
    started = time.process_time()
    Classical(NoConfig()).separate(Looped(piece, RATE, 60 * minutes), Nowhere(), ClassicalOptions(), Run())
    took = time.process_time() - started
    print(f"  {minutes:g} min: {took / 60 / minutes:.3f} s of processor a second, {most_memory():.0f} MB at most")


def most_memory() -> float:
    """MB this program had at most; getrusage would include the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, default=Path(os.environ.get("SOTTO_TEST_CLIPS", "../shared/audio")))
    parser.add_argument("--minutes", default="1,60")
    parser.add_argument(
        "--only-length", type=float, help="what this program calls itself with, in a process of its own"
    )
    asked = parser.parse_args()
    if asked.only_length is not None:
        one_length(asked.clips, asked.only_length)
        return
    print("stems:", ", ".join(STEMS))
    voices(asked.clips)
    rhythm()
    print("speed and peak memory of a whole process", flush=True)
    for minutes in asked.minutes.split(","):
        again = [sys.executable, __file__, "--clips", str(asked.clips), "--only-length", minutes]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
