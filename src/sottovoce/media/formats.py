"""The formats sound is written in, and what each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sottovoce.errors import InvalidParameter, UnsupportedFormat

BitDepth = Literal["16", "24", "float"]


@dataclass(frozen=True)
class Format:
    """How sound is stored: wav, flac, mp3, opus, m4a or ogg, and how finely.

    `bit_depth` is for wav and flac (None: 24), `bitrate` in kbit/s for the others (None: one that is hard to tell from the original).
    UnsupportedFormat for other names, InvalidParameter for a depth or bitrate the format cannot have. An .ogg holds Opus; Opus is always
    48 kHz; the lossy formats hold mono or stereo, to which more channels are folded down.
    """

    name: str
    bit_depth: BitDepth | None = None
    bitrate: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the format cannot hold."""
        coding = coding_of(self)
        if self.bit_depth is not None and self.bit_depth not in coding.depths:
            held = f"holds {' or '.join(coding.depths)} bits" if coding.depths else "has no bit depth"
            raise InvalidParameter(
                f"{self.name} {held}, not {self.bit_depth}; leave the bit depth out, or write a .wav"
            )
        if self.bitrate is not None and not coding.allows(self.bitrate):
            rule = (
                "takes {} to {} kbit/s".format(*coding.bitrates)
                if coding.bitrates
                else "is lossless, without a bitrate"
            )
            raise InvalidParameter(f"{self.name} {rule}, not {self.bitrate}; leave the bitrate out")


@dataclass(frozen=True)
class Coding:
    """A format as FFmpeg has it: muxer with options, encoder and sample format by bit depth, and limits (bitrates in kbit/s)."""

    muxer: str
    encoders: Mapping[BitDepth | None, tuple[str, str]]
    channels: int = 2
    rates: tuple[int, ...] = ()
    bitrates: tuple[int, int] | None = None
    bitrate: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def depths(self) -> tuple[BitDepth, ...]:
        """The bit depths to choose from, none for lossy formats."""
        return tuple(depth for depth in self.encoders if depth is not None)

    def allows(self, bitrate: int) -> bool:
        """Whether the encoder takes this bitrate."""
        return self.bitrates is not None and self.bitrates[0] <= bitrate <= self.bitrates[1]

    def encoder(self, depth: BitDepth | None) -> tuple[str, str]:
        """FFmpeg's encoder and its sample format at a bit depth; None is the first there is."""
        return self.encoders.get(depth) or next(iter(self.encoders.values()))

    def options_at(self, rate: int) -> dict[str, str]:
        """The muxer's options for sound of this rate."""
        return {name: value.format(rate=rate) for name, value in self.options.items()}

    def bits_per_second(self, bitrate: int | None, channels: int) -> int | None:
        """What to ask of the encoder: `bitrate` (kbit/s), else the format's own, half of it for mono; None if lossless."""
        if self.bitrates is None:
            return None
        return 1000 * (bitrate or (self.bitrate // 2 if channels == 1 else self.bitrate))

    def channels_for(self, channels: int) -> int:
        """How many of so many channels are stored: all, or 2."""
        return channels if channels <= self.channels else 2

    def rate_for(self, rate: int) -> int:
        """The rate it is stored at: the same, else the next above, else the largest divisor, else the largest there is."""
        if not self.rates or rate in self.rates:
            return rate
        above = [stored for stored in self.rates if stored > rate]
        divisors = [stored for stored in self.rates if rate % stored == 0]
        return min(above) if above else max(divisors or self.rates)


def format_of(path: Path, *, bit_depth: BitDepth | None = None, bitrate: int | None = None) -> Format:
    """The format that a file name asks for by its ending; UnsupportedFormat lists the ones there are."""
    name = _ENDINGS.get(path.suffix.lower())
    if name is None:
        found = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise UnsupportedFormat(
            f"{path.name} {found}, which says no format that can be written", hint=f"Use one of {', '.join(_ENDINGS)}."
        )
    return Format(name, bit_depth=bit_depth, bitrate=bitrate)


def coding_of(form: Format) -> Coding:
    """How FFmpeg writes a format."""
    if form.name not in _CODINGS:
        raise UnsupportedFormat(f"no format is called {form.name!r}", hint=f"Use one of {', '.join(_CODINGS)}.")
    return _CODINGS[form.name]


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# FFmpeg's own Vorbis encoder is experimental, and PyAV brings no other: Opus is what an .ogg gets.
_OPUS: Mapping[BitDepth | None, tuple[str, str]] = {None: ("libopus", "flt")}
_CODINGS: Mapping[str, Coding] = {
    "wav": Coding(
        "wav",
        {"24": ("pcm_s24le", "s32"), "16": ("pcm_s16le", "s16"), "float": ("pcm_f32le", "flt")},
        channels=64,
        options={"rf64": "auto"},
    ),
    "flac": Coding("flac", {"24": ("flac", "s32"), "16": ("flac", "s16")}, channels=8),
    "mp3": Coding("mp3", {None: ("libmp3lame", "fltp")}, rates=_MPEG_RATES, bitrates=(32, 320), bitrate=256),
    "opus": Coding("opus", _OPUS, rates=(48_000,), bitrates=(12, 256), bitrate=160),
    "m4a": Coding(
        "ipod",
        {None: ("aac", "fltp")},
        rates=(*_MPEG_RATES, 88_200, 96_000),
        bitrates=(32, 512),
        bitrate=256,
        # The edit list, which tells the exact length, counts in the movie's time scale.
        options={"movie_timescale": "{rate}"},
    ),
    "ogg": Coding("ogg", _OPUS, rates=(48_000,), bitrates=(12, 256), bitrate=160),
}
_ENDINGS = {**{f".{name}": name for name in _CODINGS}, ".wave": "wav", ".oga": "ogg"}
