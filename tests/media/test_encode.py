from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sottovoce.audio import ArrayReader, Audio, Stem
from sottovoce.errors import OutputNotWritable, OutputRejected
from sottovoce.media.decode import FileReader, decode
from sottovoce.media.encode import Format, StemFiles, encode, format_of, sha256_pcm

Chord = Callable[..., Audio]
LOSSY = ("mp3", "opus", "m4a", "ogg")
#: Format, and how faithful the round trip must be in dB.
ROUND_TRIPS = [
    (Format("wav", "16"), 74.0),
    (Format("wav", "24"), 125.0),
    (Format("wav", "float"), 300.0),
    (Format("flac", "16"), 74.0),
    (Format("flac", "24"), 125.0),
    *((Format(name), 25.0) for name in LOSSY),
]


def snr(truth: np.ndarray, heard: np.ndarray) -> float:
    noise = float(np.mean((truth.astype(np.float64) - heard) ** 2))
    return float(10 * np.log10(np.mean(truth.astype(np.float64) ** 2) / max(noise, 1e-40)))


@pytest.mark.parametrize(("form", "least"), ROUND_TRIPS, ids=lambda value: str(value))
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (22_050, 2)])
def test_a_round_trip_keeps_length_and_sound(
    tmp_path: Path, chord: Chord, form: Format, least: float, rate: int, channels: int
) -> None:
    sound = chord(rate, channels, rate + 77)
    path = tmp_path / f"out.{form.name}"
    encode(sound, path, form)
    heard = decode(path, rate=rate)
    assert heard.samples.shape == sound.samples.shape
    assert heard.samples.dtype == np.float32
    assert snr(sound.samples, heard.samples) > least


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("frames", [100, 576, 1105, 1152, 1153, 2047, 2048, 2257, 48_001])
def test_lossy_files_have_their_exact_length(tmp_path: Path, chord: Chord, name: str, frames: int) -> None:
    path = tmp_path / f"short.{name}"
    encode(chord(48_000, 2, frames), path, Format(name))
    reader = FileReader(path)
    assert reader.frames == frames == sum(block.shape[1] for block in reader.blocks(500))


@pytest.mark.parametrize("channels", [6, 8])
@pytest.mark.parametrize("form", [Format("wav"), Format("flac")])
def test_many_channels_at_192_khz(tmp_path: Path, chord: Chord, form: Format, channels: int) -> None:
    sound = chord(192_000, channels, 60_000)
    path = tmp_path / f"many.{form.name}"
    encode(sound, path, form)
    heard = decode(path)
    assert (heard.rate, heard.samples.shape) == (192_000, sound.samples.shape)
    assert snr(sound.samples, heard.samples) > 125


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_fold_and_resample_what_they_cannot_hold(tmp_path: Path, chord: Chord, name: str) -> None:
    path = tmp_path / f"surround.{name}"
    encode(chord(192_000, 6, 192_000), path, Format(name))
    reader = FileReader(path)
    assert reader.channels == 2
    assert reader.frames == reader.rate
    assert reader.rate in (48_000, 96_000)


def test_one_sample_is_a_file(tmp_path: Path) -> None:
    one = Audio(np.full((1, 1), 0.5, np.float32), 48_000)
    for name in ("wav", "flac", "mp3", "opus", "m4a"):
        path = tmp_path / f"one.{name}"
        encode(one, path, Format(name))
        assert FileReader(path).frames == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        (Format("wav", "16"), "PCM_16"),
        (Format("wav"), "PCM_24"),
        (Format("wav", "float"), "FLOAT"),
        (Format("flac"), "PCM_24"),
        (Format("flac", "16"), "PCM_16"),
        (Format("mp3"), "MPEG_LAYER_III"),
        (Format("ogg"), "OPUS"),
    ],
)
def test_libsndfile_reads_the_same(tmp_path: Path, chord: Chord, form: Format, subtype: str) -> None:
    path = tmp_path / f"out.{form.name}"
    encode(chord(), path, form)
    info = soundfile.info(str(path))
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, subtype)
    samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    ours = decode(path).samples
    if form.bit_depth or form.name in ("wav", "flac"):
        assert np.array_equal(samples.T, ours)
    else:
        # libsndfile leaves some of the padding in.
        assert snr(samples.T[:, 4000:40_000], ours[:, 4000:40_000]) > 60


def test_sixteen_bits_are_dithered_the_same_each_time(tmp_path: Path) -> None:
    # A tone below half a step vanishes without dither; with it, it can be found in the noise.
    time = np.arange(480_000) / 48_000
    faint = Audio((0.4 / 2**15 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)[None], 48_000)
    for name in ("a.wav", "b.wav"):
        encode(faint, tmp_path / name, Format("wav", "16"))
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    heard = decode(tmp_path / "a.wav").samples[0].astype(np.float64)
    found = 2 * abs(np.mean(heard * np.exp(-2j * np.pi * 1000 * time))) * 2**15
    assert found == pytest.approx(0.4, rel=0.1)
    # Triangular dither and rounding: a quarter of a squared step, whatever the signal.
    noise = heard * 2**15 - 0.4 * np.sin(2 * np.pi * 1000 * time)
    assert np.var(noise) == pytest.approx(0.25, rel=0.05)


def test_a_sixteen_bit_source_stays_as_it_is(tmp_path: Path) -> None:
    numbers = np.asarray(np.random.default_rng(0).integers(-(2**15), 2**15, (2, 5000)) / 2**15, np.float32)
    encode(Audio(numbers, 44_100), tmp_path / "a.flac", Format("flac", "16"))
    assert np.array_equal(decode(tmp_path / "a.flac").samples, numbers)


def test_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    loud = Audio(np.array([[1.5, -1.5, 1.0, -1.0]], np.float32), 48_000)
    for depth in ("16", "24"):
        path = tmp_path / f"loud{depth}.wav"
        encode(loud, path, Format("wav", depth))
        assert decode(path).samples[0] == pytest.approx([1, -1, 1, -1], abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("name", ["wav", "flac", *LOSSY])
def test_the_same_sound_gives_the_same_bytes(tmp_path: Path, chord: Chord, name: str) -> None:
    for half in ("a", "b"):
        encode(chord(), tmp_path / f"{half}.{name}", Format(name), tags={"title": "once"})
    assert (tmp_path / f"a.{name}").read_bytes() == (tmp_path / f"b.{name}").read_bytes()


@pytest.mark.long
def test_a_bitrate_is_obeyed(tmp_path: Path, chord: Chord) -> None:
    noise = Audio(np.random.default_rng(0).normal(0, 0.1, (2, 192_000)).astype(np.float32), 48_000)
    for name in ("mp3", "m4a", "opus"):
        sizes = []
        for bitrate in (64, 192):
            path = tmp_path / f"{bitrate}.{name}"
            encode(noise, path, Format(name, bitrate=bitrate))
            sizes.append(path.stat().st_size)
        assert sizes[0] == pytest.approx(64_000 / 8 * 4, rel=0.2)
        assert sizes[1] == pytest.approx(192_000 / 8 * 4, rel=0.2)


def test_the_hash_is_that_of_24_bit_integers(tmp_path: Path, chord: Chord) -> None:
    sound = chord(44_100, 2, 10_001)
    path = tmp_path / "a.flac"
    encode(sound, path, Format("flac"))
    numbers, _ = soundfile.read(str(path), dtype="int32", always_2d=True)
    packed = (numbers.astype(np.int64) // 256).astype("<i4").tobytes()
    three = b"".join(packed[index : index + 3] for index in range(0, len(packed), 4))
    assert sha256_pcm(sound) == sha256_pcm(FileReader(path)) == hashlib.sha256(three).hexdigest()


def test_large_wav_has_room_for_rf64(tmp_path: Path, chord: Chord) -> None:
    encode(chord(), tmp_path / "a.wav", Format("wav"))
    # A reserved chunk becomes the 64-bit sizes if the file passes 4 GiB.
    assert (tmp_path / "a.wav").read_bytes()[12:16] == b"JUNK"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, chord: Chord) -> None:
    path = tmp_path / "a.wav"
    encode(chord(), path, Format("wav"))
    before = path.read_bytes()
    broken = chord()
    broken.samples[0, 40_000] = np.nan
    with pytest.raises(OutputRejected, match="no numbers"):
        encode(broken, path, Format("wav"))
    with pytest.raises(OutputRejected, match="no samples"):
        encode(Audio(np.zeros((2, 0), np.float32), 48_000), path, Format("wav"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path: Path, chord: Chord) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for path in (
        tmp_path / "none" / "a.wav",
        tmp_path / "folder.wav",
        tmp_path / "file" / "a.wav",
        tmp_path / ("x" * 300 + ".wav"),
    ):
        with pytest.raises(OutputNotWritable, match="cannot be written"):
            encode(chord(), path, Format("wav"))
    assert sorted(child.name for child in tmp_path.iterdir()) == ["file", "folder.wav"]


_FILL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from sottovoce.audio import Audio
from sottovoce.errors import DiskFull
from sottovoce.media.encode import Format, encode
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = Audio(np.random.default_rng(0).normal(0, 0.1, (2, 96_000)).astype(np.float32), 48_000)
try:
    encode(noise, Path(sys.argv[1]), Format(sys.argv[2]))
except DiskFull as error:
    print(error)
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "m4a", "opus"])
def test_no_room_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    done = subprocess.run([sys.executable, "-c", _FILL, str(path), name], capture_output=True, text=True, check=True)
    assert done.stdout == f"no space left to write a.{name}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_odd_names(tmp_path: Path, chord: Chord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [
        "-dash.wav",
        "ü 夜 🎵.flac",
        "a:b?c#d%20.mp3",
        "x" * 250 + ".wav",
        os.fsdecode(b"\xff\xfe.wav"),
        "http:x.wav",
    ]
    for name in names:
        encode(chord(), Path(name), format_of(Path(name)))
        assert FileReader(Path(name)).frames == 48_000
    assert {child.name for child in tmp_path.iterdir()} == set(names)


def test_stems_appear_together_at_the_end(tmp_path: Path, chord: Chord) -> None:
    sound = chord(44_100, 2, 50_000)
    with StemFiles(tmp_path / "stems", rate=44_100, channels=2, form=Format("flac")) as files:
        for block in ArrayReader(sound).blocks(7000):
            files.write(Stem("drums"), block)
            files.write(Stem("bass"), block * np.float32(0.5))
        assert not list((tmp_path / "stems").glob("*.flac"))
    assert files.gain_db == 0
    assert files.paths == {stem: tmp_path / "stems" / f"{stem}.flac" for stem in ("drums", "bass")}
    assert sorted((tmp_path / "stems").iterdir()) == sorted(files.paths.values())
    assert snr(sound.samples, decode(files.paths[Stem("drums")]).samples) > 125


def test_stems_above_full_scale_get_one_gain(tmp_path: Path, chord: Chord) -> None:
    sound = chord(48_000, 2, 20_000).samples
    loud = np.asarray(sound / np.abs(sound).max() * 1.6, np.float32)
    with StemFiles(tmp_path, rate=48_000, channels=2, form=Format("wav", "24")) as files:
        files.write(Stem("vocals"), loud)
        files.write(Stem("other"), sound)
    assert files.gain_db == pytest.approx(-20 * np.log10(1.6), abs=1e-4)
    mixed = sum(decode(path).samples for path in files.paths.values())
    assert snr(loud + sound, np.asarray(mixed) * 10 ** (-files.gain_db / 20)) > 120


def test_stems_of_a_failed_separation_leave_nothing(tmp_path: Path, chord: Chord) -> None:
    files = StemFiles(tmp_path / "stems", rate=48_000, channels=2, form=Format("wav"))

    def separate() -> None:
        with files:
            files.write(Stem("vocals"), chord().samples)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        separate()
    assert list((tmp_path / "stems").iterdir()) == []
    assert files.paths == {}
