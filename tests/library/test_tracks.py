"""A library keeps what is put into it, once, and forgets wholly what is taken out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.library.conftest import MakeTrack

from sottovoce import errors
from sottovoce.audio import Stem
from sottovoce.library.figures import Figures, figures
from sottovoce.library.track import made
from sottovoce.library.tracks import Library
from sottovoce.recipe import Recipe


def files(library: Library) -> list[Path]:
    return sorted(path for path in (library.folder / "audio").rglob("*") if path.is_file())


def test_a_track_comes_back_as_it_was_filed(library: Library, new: MakeTrack) -> None:
    facts = {
        "words": "rain",
        "mood": "calm",
        "genre": "jazz",
        "lufs": -16.0,
        "true_peak_db": -1.0,
        "bpm": 78.0,
        "key": "A minor",
    }
    track = library.add(
        new(b"sound", stems={"drums": b"d", "bass": b"b"}, midi=b"notes", tags=("Late  Night", "calm"), **facts)
    )
    assert track == library.get(track.id)
    assert {name: getattr(track, name) for name in facts} == facts
    assert (track.title, track.engine, track.seed, track.seconds, track.rate, track.channels) == (
        "Night",
        "tone",
        7,
        60.0,
        48_000,
        2,
    )
    assert track.tags == ("calm", "late night")
    assert track.stems == ("bass", "drums")
    assert track.audio.read_bytes() == b"sound"
    assert track.midi is not None
    assert track.midi.read_bytes() == b"notes"
    assert {stem: path.read_bytes() for stem, path in library.stems(track.id).items()} == {"drums": b"d", "bass": b"b"}
    assert abs((datetime.now(UTC) - track.created).total_seconds()) < 60


def test_files_lie_under_the_hash_of_their_bytes_and_the_sources_are_gone(library: Library, new: MakeTrack) -> None:
    fresh = new(b"sound")
    track = library.add(fresh)
    assert track.audio == library.folder / "audio" / track.sha256[:2] / f"{track.sha256}.flac"
    assert not fresh.audio.exists()


def test_files_that_are_to_be_kept_stay(library: Library, new: MakeTrack) -> None:
    fresh = replace(new(b"sound"), keep_files=True)
    assert library.add(fresh).audio.read_bytes() == fresh.audio.read_bytes()


def test_facts_are_read_from_the_recipe(library: Library, new: MakeTrack, recipe: Recipe) -> None:
    track = library.add(made("Night", new(b"sound").audio, recipe, tags=["x"]))
    assert (track.words, track.mood, track.genre, track.bpm, track.key) == (
        "rainy night lofi",
        "calm",
        "jazz",
        78,
        "A minor",
    )
    assert (track.seconds, track.lufs, track.true_peak_db, track.seed, track.engine) == (2.0, -16.1, -1.2, 7, "tone")
    assert track.recipe == recipe
    assert "recipe_json" not in track.as_dict()


def test_the_same_sound_is_filed_once_and_gains_what_it_lacked(library: Library, new: MakeTrack) -> None:
    first = library.add(new(b"sound", tags=("a",)))
    again = library.add(new(b"sound", tags=("b",), stems={"drums": b"d"}, midi=b"m", title="Other"))
    assert (again.id, again.title, again.tags, again.stems) == (first.id, "Night", ("a", "b"), ("drums",))
    assert again.midi is not None
    assert len(library.search().tracks) == 1


def test_the_same_sound_in_other_bytes_leaves_no_second_file(library: Library, new: MakeTrack) -> None:
    first = library.add(new(b"sound", sound="pcm"))
    again = library.add(new(b"sound with another tag", sound="pcm"))
    assert again == first
    assert files(library) == [first.audio]


def test_another_seed_is_another_track_that_shares_the_file(library: Library, new: MakeTrack) -> None:
    one, other = library.add(new(seed=1)), library.add(new(seed=2))
    assert one.id != other.id
    library.remove(one.id)
    assert library.get(other.id).audio.read_bytes() == b"sound"
    library.remove(other.id)
    assert files(library) == []


def test_bytes_known_under_another_ending_are_not_kept_twice(library: Library, new: MakeTrack) -> None:
    first = library.add(new(b"sound"))
    other = new(b"sound", seed=8)
    renamed = other.audio.rename(other.audio.with_suffix(".ogg"))
    assert library.add(replace(other, audio=renamed)).audio == first.audio
    assert files(library) == [first.audio]


def test_stems_that_are_equal_share_a_file(library: Library, new: MakeTrack) -> None:
    track = library.add(new(stems={"drums": b"silence", "bass": b"silence"}))
    assert len(set(library.stems(track.id).values())) == 1


def test_stems_by_several_engines_stay_apart(library: Library, new: MakeTrack, tmp_path: Path) -> None:
    def part(content: bytes) -> dict[Stem, Path]:
        path = tmp_path / "part.wav"
        path.write_bytes(content)
        return {Stem("drums"): path}

    track = library.add(new(stems={"drums": b"true"})).id
    library.add_stems(track, part(b"guess"), engine="classical")
    library.add_stems(track, part(b"better guess"), engine="classical")

    def drums(engine: str | None = None) -> bytes:
        return library.stems(track, engine)[Stem("drums")].read_bytes()

    assert (drums(), drums("tone"), drums("classical")) == (b"true", b"true", b"better guess")
    assert library.stems(track, "demucs") == {}
    assert not any(path.read_bytes() == b"guess" for path in files(library))


def test_titles_tags_and_stars_change(library: Library, new: MakeTrack) -> None:
    track = library.add(new(tags=("a", "b"))).id
    assert library.rename(track, " Morning\n light ").title == "Morning light"
    assert library.tag(track, "C", "c", "a").tags == ("a", "b", "c")
    assert library.untag(track, "B", "zzz").tags == ("a", "c")
    assert [library.rate(track, stars).rating for stars in (1, 5, None)] == [1, 5, None]


@pytest.mark.parametrize("stars", [0, 6, -1])
def test_stars_out_of_range_are_refused(library: Library, new: MakeTrack, stars: int) -> None:
    track = library.add(new()).id
    with pytest.raises(errors.InvalidParameter, match="1 to 5"):
        library.rate(track, stars)


@pytest.mark.parametrize("title", ["", "  ", "\n\t\0"])
def test_an_empty_title_is_refused_and_nothing_is_filed(library: Library, new: MakeTrack, title: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="title"):
        library.add(new(title=title))
    assert library.search().tracks == ()
    assert files(library) == []


@pytest.mark.parametrize("tag", ["", "a,b", "x" * 65])
def test_a_bad_tag_is_refused_and_nothing_is_filed(library: Library, new: MakeTrack, tag: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="tag"):
        library.add(new(tags=("fine", tag)))
    assert library.search().tracks == ()


def test_long_and_odd_titles_are_kept_on_one_line(library: Library, new: MakeTrack) -> None:
    assert library.add(new(b"1", title="x" * 500)).title == "x" * 200
    assert library.add(new(b"2", title="../夜の雨\r\n\x1b[31m\udcff")).title == "../夜の雨 [31m?"


def test_an_unknown_track_is_said_to_be_unknown(library: Library, tmp_path: Path) -> None:
    for act in (
        lambda: library.get("x"),
        lambda: library.rename("x", "y"),
        lambda: library.rate("x", 3),
        lambda: library.tag("x", "y"),
        lambda: library.untag("x", "y"),
        lambda: library.stems("x"),
        lambda: library.remove("x"),
        lambda: library.export("x", tmp_path / "x.wav"),
    ):
        with pytest.raises(errors.TrackNotFound):
            act()


def test_stems_of_an_unknown_track_leave_no_file(library: Library, tmp_path: Path) -> None:
    part = tmp_path / "drums.wav"
    part.write_bytes(b"d")
    with pytest.raises(errors.TrackNotFound):
        library.add_stems("x", {Stem("drums"): part}, engine="classical")
    assert files(library) == []


def test_removing_takes_every_file_of_the_track(library: Library, new: MakeTrack) -> None:
    kept = library.add(new(b"kept", seed=1))
    track = library.add(new(b"gone", stems={"drums": b"d"}, midi=b"m", tags=("zebra",)))
    library.remove(track.id)
    assert files(library) == [kept.audio]
    assert library.search(text="zebra").tracks == ()
    with pytest.raises(errors.TrackNotFound):
        library.remove(track.id)


def test_a_removed_track_can_be_filed_again(library: Library, new: MakeTrack) -> None:
    first = library.add(new(b"sound"))
    library.remove(first.id)
    assert library.add(new(b"sound")).id == first.id


def test_a_source_that_is_missing_or_a_folder_is_said_to_be(library: Library, new: MakeTrack, tmp_path: Path) -> None:
    for place in (tmp_path / "absent.flac", tmp_path):
        with pytest.raises(errors.InputUnreadable):
            library.add(replace(new(), audio=place))


def test_sweeping_takes_only_what_no_row_names(library: Library, new: MakeTrack) -> None:
    track = library.add(new(stems={"drums": b"d"}))
    stray = library.folder / "audio" / "ab" / f"{'ab' * 32}.flac"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a killed process")
    assert library.sweep() == (f"audio/ab/{'ab' * 32}.flac",)
    assert not stray.exists()
    assert library.get(track.id).audio.exists()
    assert library.sweep() == ()


def test_damage_is_found(library: Library, new: MakeTrack) -> None:
    sound = library.add(new(b"sound", seed=1))
    gone = library.add(new(b"gone", seed=2))
    fine = library.add(new(b"fine", seed=3))
    sound.audio.write_bytes(b"flipped")
    gone.audio.unlink()
    damaged = {library.folder / path for path in library.damaged()}
    assert damaged == {sound.audio, gone.audio}
    assert fine.audio not in damaged


def test_a_library_moves_with_its_folder(library: Library, new: MakeTrack, tmp_path: Path) -> None:
    track = library.add(new(b"sound"))
    library.close()
    moved = library.folder.rename(tmp_path / "moved")
    again = Library.open(moved)
    assert again.get(track.id).audio.read_bytes() == b"sound"
    again.close()


def test_a_track_in_the_trash_is_known_to_nothing_but_its_restoring(
    library: Library, new: MakeTrack, tmp_path: Path
) -> None:
    track = library.add(new(b"sound", stems={"drums": b"d"}, midi=b"m", tags=("zebra",)))
    library.rate(track.id, 4)
    before = library.get(track.id)
    library.trash(track.id)
    for act in (
        lambda: library.get(track.id),
        lambda: library.rename(track.id, "y"),
        lambda: library.rate(track.id, 3),
        lambda: library.tag(track.id, "y"),
        lambda: library.untag(track.id, "zebra"),
        lambda: library.stems(track.id),
        lambda: library.add_stems(track.id, {}, engine="classical"),
        lambda: library.trash(track.id),
        lambda: library.remove(track.id),
        lambda: library.export(track.id, tmp_path / "x.wav"),
    ):
        with pytest.raises(errors.TrackNotFound, match="deleted") as caught:
            act()
        assert f"/api/tracks/{track.id}/restore" in caught.value.hint
    assert library.search().tracks == library.search(text="zebra").tracks == library.search(tags=["zebra"]).tracks == ()
    assert library.sweep() == ()
    assert library.restore(track.id) == library.restore(track.id) == before
    assert library.search(text="zebra").tracks == (before,)
    with pytest.raises(errors.TrackNotFound, match="no track"):
        library.restore("x")


def test_the_trash_is_emptied_of_what_is_old(library: Library, new: MakeTrack) -> None:
    shared = library.add(new(b"sound", seed=1))
    track = library.add(new(b"sound", seed=2, stems={"drums": b"d"}, midi=b"m"))
    library.trash(track.id)
    library.empty_trash()
    assert library.restore(track.id) == track
    library.trash(track.id)
    library.empty_trash(kept_seconds=0)
    assert files(library) == [shared.audio]
    with pytest.raises(errors.TrackNotFound, match="no track"):
        library.restore(track.id)


def test_what_is_filed_again_comes_out_of_the_trash(library: Library, new: MakeTrack) -> None:
    track = library.add(new(b"sound", tags=("a",)))
    library.trash(track.id)
    again = library.add(new(b"sound", tags=("b",)))
    assert (again.id, again.tags) == (track.id, ("a", "b"))
    library.empty_trash(kept_seconds=0)
    assert library.get(track.id) == again


def test_figures_leave_out_the_trash(library: Library, new: MakeTrack) -> None:
    kept = library.add(new(b"sound", seed=1, seconds=2.0))
    track = library.add(new(b"sound", seed=2, seconds=3.0, stems={"drums": b"drums"}, midi=b"notes"))
    assert figures(library.database) == Figures(2, 5.0, 15)
    library.trash(track.id)
    assert figures(library.database) == Figures(1, 2.0, 5)
    library.trash(kept.id)
    assert figures(library.database) == Figures(0, 0.0, 0)
