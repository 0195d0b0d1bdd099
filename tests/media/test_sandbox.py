from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import Audio
from sottovoce.errors import AudioTooLong, CorruptMedia, DiskFull, InputUnreadable, OutputNotWritable, UnsupportedFormat
from sottovoce.media.decode import decode
from sottovoce.media.encode import Format, encode
from sottovoce.media.probe import probe
from sottovoce.media.sandbox import Limits, decode_in_child, probe_in_child

Chord = Callable[..., Audio]


@pytest.fixture(scope="module")
def long_silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours in a small file."""
    path = tmp_path_factory.mktemp("long") / "silence.flac"
    encode(Audio(np.zeros((1, 2 * 3600 * 16_000), np.float32), 16_000), path, Format("flac", "16"))
    return path


def test_the_child_sees_what_we_see(tmp_path: Path, chord: Chord) -> None:
    path = tmp_path / "-ä b.mp3"
    encode(chord(44_100), path, Format("mp3"), tags={"title": "ü"})
    assert probe_in_child(path) == probe(path)
    assert decode_in_child(path, tmp_path / "out.wav") == 48_000
    assert np.array_equal(decode(tmp_path / "out.wav").samples, decode(path).samples)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["-ä b.mp3", "out.wav"]


def test_its_errors_are_ours(tmp_path: Path, chord: Chord) -> None:
    (tmp_path / "text.mp3").write_text("words " * 100)
    with pytest.raises(UnsupportedFormat, match=r"text\.mp3") as raised:
        probe_in_child(tmp_path / "text.mp3")
    assert "FLAC" in raised.value.hint
    with pytest.raises(InputUnreadable):
        probe_in_child(tmp_path / "missing.mp3")
    encode(chord(), tmp_path / "a.wav", Format("wav"))
    with pytest.raises(OutputNotWritable):
        decode_in_child(tmp_path / "a.wav", tmp_path / "none" / "out.wav")


@pytest.mark.long
@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(cpu_seconds=1), CorruptMedia),
        (Limits(wall_seconds=1.5), CorruptMedia),
        (Limits(memory_bytes=1 << 20), CorruptMedia),
        (Limits(output_bytes=1 << 20), DiskFull),
        (Limits(sound_seconds=3600), AudioTooLong),
    ],
    ids=["processor", "clock", "memory", "output", "length"],
)
def test_every_limit_holds(tmp_path: Path, long_silence: Path, limits: Limits, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"silence\.flac|out\.wav"):
        decode_in_child(long_silence, tmp_path / "out.wav", limits)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_is_the_files_fault(tmp_path: Path, chord: Chord, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(chord(), tmp_path / "a.wav", Format("wav"))
    # Python's own start-up hook: the child kills itself as a wild pointer would.
    (tmp_path / "sitecustomize.py").write_text(f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    with pytest.raises(CorruptMedia, match="crashed"):
        probe_in_child(tmp_path / "a.wav")
