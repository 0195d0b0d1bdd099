"""What a clip sounds like, heard in one pass: who speaks when, what stands out, where it has music of its own, how loud it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.audio import AudioReader, Samples
from sottovoce.dsp import spans as span
from sottovoce.dsp.ducking import Cause
from sottovoce.dsp.events import Envelope, EnvelopeMeter, stand_out
from sottovoce.dsp.loudness import ABSOLUTE_GATE, LoudnessMeter
from sottovoce.dsp.music_presence import MusicDetector, MusicPresence
from sottovoce.dsp.resample import StreamResampler
from sottovoce.dsp.spans import Span
from sottovoce.dsp.speech import RATE as SPEECH_RATE
from sottovoce.dsp.speech import Activity, SpeechDetector
from sottovoce.engines.base import Run

#: Voices are brought to this loudness in LUFS.
SPEECH_LUFS = -16.0
#: A voice further away than this many dB is left quieter: its noise would be all there is.
_MOST_GAIN = 30.0
#: Less speech than this many seconds is no measure of loudness.
_LEAST_SPEECH = 0.5
#: A sound that lies within speech for more than this share is the speech.
_SAME = 0.5


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip's sound: its length in samples at the reader's rate, and what was found in it.

    `spoken` is the envelope that the level of voices is read from, `sounds` the one that other sounds are looked for in: both the clip's
    own, or those of its stems.
    """

    frames: int
    seconds: float
    envelope: Envelope
    spoken: Envelope
    sounds: Envelope
    voices: Activity
    music: MusicPresence
    #: LUFS of every 400 ms, 100 ms apart.
    momentary: NDArray[np.float64]


@dataclass(frozen=True)
class VoiceLevel:
    """How loud the clip is (LUFS of its speech, or of all of it without speech; None for silence), and by how many dB it is moved."""

    lufs: float | None
    gain_db: float
    speech: bool
    note: str | None = None


#: The level of a clip without sound.
NO_VOICE = VoiceLevel(None, 0.0, speech=False, note="the clip has no sound")


def listen(
    clip: AudioReader, seconds: float, run: Run, *, voice: AudioReader | None = None, rest: AudioReader | None = None
) -> Heard:
    """Hear a clip of about `seconds` through; `voice` and `rest` are its stems where it was separated."""
    ear = _Ear(clip)
    for block in _reported(clip, seconds, run):
        ear.push(block)
    return ear.heard(_voices(voice) if voice else None, envelope_of(rest) if rest else None)


class _Ear:
    """All that listens to a clip while it passes by."""

    def __init__(self, clip: AudioReader) -> None:
        self._frames, self._rate = 0, clip.rate
        self._envelope = EnvelopeMeter(clip.rate, clip.channels)
        self._loudness = LoudnessMeter(clip.rate, clip.channels)
        self._resampler = StreamResampler(clip.rate, SPEECH_RATE, 1, quality="high")
        self._speech = SpeechDetector(SPEECH_RATE)
        self._music = MusicDetector(SPEECH_RATE)

    def push(self, block: Samples) -> None:
        """The next block of the clip."""
        self._frames += block.shape[1]
        self._envelope.push(block)
        self._loudness.push(block)
        self._hear(self._resampler.push(block.mean(axis=0, keepdims=True, dtype=np.float32)))

    def heard(self, voice: tuple[Activity, Envelope] | None, sounds: Envelope | None) -> Heard:
        """What came of it; voices and other sounds may be known better from stems."""
        self._hear(self._resampler.flush())
        envelope = self._envelope.finish()
        voices, spoken = voice or (self._speech.finish(), envelope)
        return Heard(
            frames=self._frames,
            seconds=self._frames / self._rate,
            envelope=envelope,
            spoken=spoken,
            sounds=sounds or envelope,
            voices=voices,
            music=self._music.finish(),
            momentary=self._loudness.momentary(),
        )

    def _hear(self, mono: Samples) -> None:
        self._speech.push(mono)
        self._music.push(mono)


def causes_of(heard: Heard, threshold: float) -> tuple[tuple[Cause, ...], tuple[str, ...]]:
    """What lowers the music, in rising order, and what the user should know: voices below `threshold` (RMS 0-1 as recorded)."""
    spoken = [Cause("speech", *voice, heard.spoken.loudest(voice)) for voice in heard.voices.spans]
    music = [
        Cause("clip music", *stretch, _mean_rms(heard.envelope, stretch))
        for stretch in heard.music.spans(heard.voices.spans)
    ]
    known = [(cause.start, cause.end) for cause in (*spoken, *music)]
    sounds = [
        Cause("sound", sound.start, sound.end, sound.rms)
        for sound in stand_out(heard.sounds, threshold)
        if _shared((sound.start, sound.end), known) < _SAME
    ]
    loud = [cause for cause in (*spoken, *sounds, *music) if cause.rms is not None and cause.rms >= threshold]
    faint = [cause for cause in spoken if cause not in loud]
    return tuple(sorted(loud, key=lambda cause: (cause.start, cause.end))), _faint(faint, threshold)


def voice_level(heard: Heard) -> VoiceLevel:
    """By how much the clip must move for its speech to be at -16 LUFS; without speech it is only ever turned down."""
    centres = 0.1 * np.arange(len(heard.momentary)) + 0.2
    spoken = heard.momentary[
        span.within(heard.voices.spans, len(centres) + 2, 0.1)[np.round(centres / 0.1).astype(int)]
    ]
    if heard.voices.seconds >= _LEAST_SPEECH and math.isfinite(lufs := _gated(spoken)):
        wanted = SPEECH_LUFS - lufs
        return VoiceLevel(lufs, min(wanted, _MOST_GAIN), speech=True, note=_capped(wanted))
    lufs = _gated(heard.momentary)
    if not math.isfinite(lufs):
        return VoiceLevel(None, 0.0, speech=False, note="the clip is silent")
    return VoiceLevel(
        lufs, min(0.0, SPEECH_LUFS - lufs), speech=False, note="no speech was found, so the clip's sound was not raised"
    )


def _gated(momentary: NDArray[np.float64]) -> float:
    """Integrated loudness of the windows given, with both gates of BS.1770; -inf if nothing is left."""
    loud = momentary[momentary > ABSOLUTE_GATE]
    if not len(loud):
        return -math.inf
    power = 10 ** (loud / 10)
    return float(10 * np.log10(power[loud > 10 * np.log10(power.mean()) - 10].mean()))


def _capped(wanted: float) -> str | None:
    if wanted <= _MOST_GAIN:
        return None
    return f"the speech is so faint that it was raised by {_MOST_GAIN:g} dB, not the {wanted:.0f} dB it needs for {SPEECH_LUFS:g} LUFS"


def _faint(spoken: list[Cause], threshold: float) -> tuple[str, ...]:
    if not spoken:
        return ()
    loudest = max(cause.rms or 0.0 for cause in spoken)
    fainter = f"{len(spoken)} stretches of speech are fainter than ducking_threshold ({threshold:g}) and do not lower the music"
    return (f"{fainter}; the loudest has an RMS of {loudest:.4f}",)


def _shared(stretch: Span, others: list[Span]) -> float:
    return 1 - span.total(span.without([stretch], others)) / (stretch[1] - stretch[0])


def _mean_rms(envelope: Envelope, stretch: Span) -> float:
    first, last = (round(seconds / envelope.hop) for seconds in stretch)
    part = envelope.rms[first:last]
    return float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))) if len(part) else 0.0


def envelope_of(reader: AudioReader) -> Envelope:
    """The level of a sound, block by block."""
    meter = EnvelopeMeter(reader.rate, reader.channels)
    for block in reader.blocks(4 * reader.rate):
        meter.push(block)
    return meter.finish()


def _voices(reader: AudioReader) -> tuple[Activity, Envelope]:
    """Who speaks in a vocal stem, and its level."""
    detector, meter = SpeechDetector(reader.rate), EnvelopeMeter(reader.rate, reader.channels)
    for block in reader.blocks(reader.rate):
        detector.push(block)
        meter.push(block)
    return detector.finish(), meter.finish()


def _reported(clip: AudioReader, seconds: float, run: Run) -> Iterator[Samples]:
    done = 0
    for block in clip.blocks(4 * clip.rate):
        run.report("listen", min(100.0, 100 * done / clip.rate / max(seconds, 1)))
        yield block
        done += block.shape[1]
