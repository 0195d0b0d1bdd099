from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.audio import Audio
from sottovoce.errors import CorruptMedia, InputError, InputUnreadable, UnsupportedFormat
from sottovoce.media.container import open_input
from sottovoce.media.decode import FileReader
from sottovoce.media.encode import Format, encode
from sottovoce.media.probe import probe
from sottovoce.media.video import survey

TEXT = b"These are words, and no sound at all.\n" * 100


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.flac", "a.m4a", "a.mp4", "a.txt", "a"])
def test_a_text_is_no_sound_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TEXT)
    with pytest.raises(UnsupportedFormat, match=f"^{name} (is in no format|has neither)") as raised:
        probe(tmp_path / name)
    assert raised.value.hint


@pytest.mark.parametrize(
    "head", [b"RIFF\x00\x10\x00\x00WAVE", b"fLaC\x00\x00", b"OggS\x00", b"ID3\x04\x00", b"\x00\x00\x00\x20ftypisom"]
)
def test_a_broken_file_of_a_known_kind_is_corrupt(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(head + TEXT[:500])
    with pytest.raises(CorruptMedia, match="damaged or cut short"):
        FileReader(tmp_path / "a.bin")


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").touch()
    with pytest.raises(CorruptMedia, match=r"a\.mp3 is empty"):
        probe(tmp_path / "a.mp3")


@pytest.mark.parametrize("look", [probe, FileReader, survey])
def test_what_is_no_file_is_unreadable(tmp_path: Path, look: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "file").touch()
    names = ["pipe.wav", "folder.wav", "loop.wav", "missing.wav", "file/a.wav", "x" * 300, "nul\0.wav"]
    for name in names:
        with pytest.raises(InputUnreadable, match="cannot be read") as raised:
            look(tmp_path / name)
        assert raised.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(TEXT)
    (tmp_path / "a.wav").chmod(0)
    with pytest.raises(InputUnreadable, match="Permission denied"):
        probe(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {target}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_lists_of_other_files_are_not_followed(tmp_path: Path, chord: Callable[..., Audio], text: str) -> None:
    target = tmp_path / "secret.wav"
    encode(chord(), target, Format("wav"))
    for name in ("list.m3u8", "list.mp3", "list.sdp"):
        (tmp_path / name).write_text(text.format(target=target))
        with pytest.raises(InputError):
            FileReader(tmp_path / name)


def test_names_are_never_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "http://localhost:1/a.mp3",
        "concat:a.wav|b.wav",
        "data:audio/wav;base64,AAAA",
        "pipe:0",
        "lavfi:sine",
    ):
        with pytest.raises(InputUnreadable):
            open_input(Path(name))


def test_complaints_of_ffmpeg_stay_silent(
    tmp_path: Path, chord: Callable[..., Audio], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp3"
    encode(chord(), path, Format("mp3"))
    data = bytearray(path.read_bytes())
    data[3000:6000] = bytes(range(250)) * 12
    path.write_bytes(data)
    assert FileReader(path).frames > 0
    assert capfd.readouterr() == ("", "")
