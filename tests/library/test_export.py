"""What leaves the library is whole, named safely, tagged, and has its recipe with it."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.audio import Audio, Stem
from sottovoce.library.export import safe_name, unique_names, zip_stems, zip_tracks
from sottovoce.library.track import NewTrack, Track, made
from sottovoce.library.tracks import Library
from sottovoce.media.decode import decode
from sottovoce.media.encode import encode
from sottovoce.media.formats import Format
from sottovoce.media.probe import probe
from sottovoce.recipe import Recipe, read_recipe

RATE, FRAMES = 48_000, 24_000
HOSTILE = [
    "../../etc/passwd",
    "a/b\\c",
    "-rf",
    ".hidden",
    "line\nbreak\r\n",
    "nul\0",
    'CON: <x> | "y"?*',
    "夜" * 300,
    "...",
    "~",
    "\u2028",
]


def sound(frequency: float) -> Audio:
    wave = 0.25 * np.sin(2 * np.pi * frequency * np.arange(FRAMES) / RATE)
    return Audio(np.stack([wave, -wave]).astype(np.float32), RATE)


@pytest.fixture
def composed(tmp_path: Path, recipe: Recipe) -> NewTrack:
    """A track with real audio, two stems, notes and a recipe."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    paths = {name: scratch / f"{name}.flac" for name in ("mix", "drums", "bass")}
    for number, path in enumerate(paths.values(), 1):
        encode(sound(220 * number), path, Format("flac", bit_depth="24"))
    (scratch / "mix.mid").write_bytes(b"MThd")
    stems = {Stem(name): paths[name] for name in ("drums", "bass")}
    return made("Rainy night", paths["mix"], recipe, stems=stems, midi=scratch / "mix.mid")


@pytest.fixture
def track(library: Library, composed: NewTrack) -> Track:
    return library.add(composed)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "opus", "m4a", "ogg"])
def test_every_format_has_the_length_the_tags_and_the_recipe(
    library: Library, track: Track, tmp_path: Path, ending: str
) -> None:
    target = tmp_path / f"night.{ending}"
    assert library.export(track.id, target) == (target, tmp_path / "night.sotto.json")
    assert decode(target).frames == FRAMES
    tags = probe(target).tags
    assert tags["title"] == "Rainy night"
    assert read_recipe(tmp_path / "night.sotto.json") == track.recipe
    assert sorted(path.name for path in tmp_path.glob("*.*")) == sorted([target.name, "night.sotto.json"])


def test_lossless_is_lossless(library: Library, track: Track, tmp_path: Path) -> None:
    target = tmp_path / "night.wav"
    library.export(track.id, target, bit_depth="24")
    assert np.array_equal(decode(target).samples, decode(track.audio).samples)


def test_into_a_folder_goes_a_file_named_after_the_title_and_never_onto_another(
    library: Library, track: Track, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    first, second = (library.export(track.id, folder)[0] for _ in range(2))
    assert first == folder / "Rainy night.flac"
    assert second == folder / f"Rainy night {track.id}.flac"
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_stays_in_its_folder(library: Library, composed: NewTrack, tmp_path: Path, title: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    track = library.add(replace(composed, title=f"x{title}")).id
    library.rename(track, title.replace("\u2028", "\u2028x"))
    files = [*library.export(track, folder), library.export_midi(track, folder), library.export_stems(track, folder)]
    assert {path.parent for path in files} == {folder}
    assert sorted(folder.iterdir()) == sorted(files)
    with zipfile.ZipFile(files[-1]) as archive:
        for name in archive.namelist():
            assert not name.startswith(("/", "."))
            assert ".." not in Path(name).parts
            assert len(Path(name).parts) == 2


@given(st.text(st.characters(exclude_categories=[])))
def test_a_safe_name_is_a_name(title: str) -> None:
    name = safe_name(title)
    assert name
    assert len(name.encode()) <= 180
    assert Path(name).name == name
    assert name[0] not in ".-"
    assert name not in (".", "..")


@given(st.lists(st.text(st.sampled_from("aAä 2/\0"), max_size=4) | st.text(st.characters(exclude_categories=[]))))
def test_unique_names_differ_whatever_the_file_system(titles: list[str]) -> None:
    names = unique_names(titles)
    assert len(names) == len(titles)
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names)
    assert all(Path(name).name == name for name in names)


def test_tracks_are_zipped_with_their_recipes_and_notes(library: Library, track: Track) -> None:
    other = replace(track, recipe_json=None, midi=None)
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_tracks([track, other], lambda one: one.audio)))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "Rainy night.flac", "Rainy night.mid", "Rainy night.sotto.json", "Rainy night 2.flac",
        ]  # fmt: skip
        assert archive.read("Rainy night 2.flac") == track.audio.read_bytes()
        assert Recipe.model_validate_json(archive.read("Rainy night.sotto.json")) == track.recipe


def test_stems_are_zipped_with_the_recipe(library: Library, track: Track, tmp_path: Path) -> None:
    target = library.export_stems(track.id, tmp_path)
    assert target == tmp_path / "Rainy night_stems.zip"
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        stems = {f"Rainy night/{stem}.flac": path.read_bytes() for stem, path in library.stems(track.id).items()}
        assert {name: archive.read(name) for name in stems} == stems
        recipe = archive.read("Rainy night/Rainy night.sotto.json")
    assert Recipe.model_validate_json(recipe) == track.recipe


def test_a_zip_is_streamed_in_pieces(track: Track, tmp_path: Path) -> None:
    big = tmp_path / "drums.wav"
    with big.open("wb") as file:
        file.truncate(20 << 20)
    pieces = list(zip_stems(track, {Stem("drums"): big}))
    assert max(map(len, pieces)) < 2 << 20
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.getinfo("Rainy night/drums.wav").file_size == 20 << 20


def test_what_a_track_lacks_cannot_be_written(library: Library, composed: NewTrack, tmp_path: Path) -> None:
    track = library.add(replace(composed, stems={}, midi=None)).id
    with pytest.raises(errors.StemNotFound, match="notes"):
        library.export_midi(track, tmp_path / "night.mid")
    with pytest.raises(errors.StemNotFound, match="stems") as caught:
        library.export_stems(track, tmp_path / "night.zip")
    assert "sotto separate" in caught.value.hint
    assert list(tmp_path.glob("night*")) == []


@pytest.mark.parametrize("name", ["night.xyz", "night", "missing/night.wav"])
def test_what_cannot_be_written_leaves_nothing(library: Library, track: Track, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises((errors.UnsupportedFormat, errors.OutputNotWritable)):
        library.export(track.id, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_there_stays_when_the_export_fails(library: Library, track: Track, tmp_path: Path) -> None:
    target = tmp_path / "night.wav"
    target.write_bytes(b"older")
    track.audio.write_bytes(b"damaged")
    with pytest.raises((errors.CorruptMedia, errors.UnsupportedFormat)):
        library.export(track.id, target)
    assert target.read_bytes() == b"older"


def test_exported_files_have_the_usual_mode(library: Library, track: Track, tmp_path: Path) -> None:
    files = [
        *library.export(track.id, tmp_path),
        library.export_midi(track.id, tmp_path),
        library.export_stems(track.id, tmp_path),
    ]
    usual = tmp_path / "usual"
    usual.touch()
    assert {path.stat().st_mode for path in files} == {usual.stat().st_mode}
