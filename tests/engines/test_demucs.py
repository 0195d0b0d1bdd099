"""The engine with small random networks: shapes, rates, channels, order, limits, cancel, memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("demucs", reason="the extra demucs is not installed")

from pydantic import ValidationError
from tests.engines import tiny_demucs as tiny

from sottovoce import errors
from sottovoce.audio import RESIDUAL, ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.engines.base import Run, Separation
from sottovoce.engines.demucs import runtime
from sottovoce.engines.demucs.engine import Demucs
from sottovoce.engines.demucs.models import MODELS
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions
from sottovoce.progress import Progress


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """htdemucs and hdemucs_mmi, small."""
    path = tmp_path_factory.mktemp("weights")
    tiny.save(tiny.htdemucs(), path / "955717e8.safetensors")
    tiny.save(tiny.hdemucs(), path / "75fc33f5.safetensors")
    return path


class Endless:
    """Seeded noise of any length that is never in memory as a whole."""

    def __init__(self, seconds: float, rate: int = tiny.RATE, channels: int = 2) -> None:
        self.rate, self.channels, self.frames = rate, channels, round(seconds * rate)

    def blocks(self, frames: int) -> Iterator[Samples]:
        draw = np.random.default_rng(0)
        for start in range(0, self.frames, frames):
            yield draw.standard_normal((self.channels, min(frames, self.frames - start))).astype(np.float32)


class Counting:
    """A sink that keeps only how much came."""

    def __init__(self) -> None:
        self.frames: dict[Stem, int] = {}

    def write(self, stem: Stem, block: Samples) -> None:
        self.frames[stem] = self.frames.get(stem, 0) + block.shape[1]


def noise(channels: int, frames: int, rate: int = tiny.RATE) -> Audio:
    return Audio((0.1 * np.random.default_rng(1).standard_normal((channels, frames))).astype(np.float32), rate)


def split(folder: Path, source: Audio, seed: int = 0, **options: Any) -> tuple[dict[Stem, Samples], Separation]:
    sink = ArrayWriter(source.rate)
    engine = Demucs(DemucsConfig(), tiny.Folder(folder))
    done = engine.separate(ArrayReader(source), sink, DemucsOptions(**{"runtime": "torch", **options}), Run(seed=seed))
    return {stem: audio.samples for stem, audio in sink.stems().items()}, done


@pytest.mark.parametrize(
    ("rate", "channels", "frames"),
    [(44_100, 1, 30_011), (48_000, 2, 70_001), (96_000, 2, 96_001), (22_050, 6, 9_999), (8000, 3, 1)],
)
def test_stems_have_the_rate_channels_and_length_of_the_source(
    folder: Path, rate: int, channels: int, frames: int
) -> None:
    source = noise(channels, frames, rate)
    stems, done = split(folder, source)
    assert tuple(stems) == done.stems == MODELS["htdemucs"].stems
    assert {part.shape for part in stems.values()} == {source.samples.shape}
    assert all(np.isfinite(part).all() for part in stems.values())


def test_mono_is_what_both_sides_of_stereo_are(folder: Path) -> None:
    source = noise(1, 50_000)
    mono, _ = split(folder, source)
    stereo, _ = split(folder, Audio(np.repeat(source.samples, 2, axis=0), source.rate))
    for stem in mono:
        np.testing.assert_allclose(mono[stem][0], stereo[stem].mean(axis=0), atol=1e-6)


def test_each_group_of_surround_is_split_on_its_own_and_the_centre_is_not_lost(folder: Path) -> None:
    source = noise(6, 50_000)
    source.samples[3] = 0
    stems, done = split(folder, source)
    alone = {
        name: split(folder, Audio(source.samples[part], source.rate))[0]
        for name, part in (("front", [0, 1]), ("centre", [2]))
    }
    for stem, sound in stems.items():
        np.testing.assert_allclose(sound[:2], alone["front"][stem], atol=1e-6)
        np.testing.assert_allclose(sound[2:3], alone["centre"][stem], atol=1e-6)
        assert not sound[3].any()
    assert any("groups" in note for note in done.notes)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_residual_completes_the_stems(folder: Path, rate: int) -> None:
    source = noise(2, 60_000, rate)
    stems, done = split(folder, source, residual=True, only=("vocals",))
    assert set(stems) == {Stem("vocals"), RESIDUAL} == set(done.stems)
    every, _ = split(folder, source)
    left = sum(every.values()) + stems[RESIDUAL] - source.samples
    assert np.abs(left).max() < np.abs(source.samples).max() * 10 ** (-90 / 20)


def test_sum_to_mix_spreads_what_is_left(folder: Path) -> None:
    source = noise(2, 60_000, 48_000)
    plain, _ = split(folder, source)
    full, _ = split(folder, source, sum_to_mix=True)
    assert np.abs(sum(full.values()) - source.samples).max() < 3e-6
    part = (source.samples - sum(plain.values())) / 4
    np.testing.assert_allclose(full[Stem("drums")], plain[Stem("drums")] + part, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_what_does_not_move_is_no_work_and_comes_back_as_it_is(folder: Path, value: float) -> None:
    stems, _ = split(folder, Audio(np.full((2, 50_000), value, np.float32), tiny.RATE))
    for sound in stems.values():
        np.testing.assert_allclose(sound, value, atol=1e-6)


def test_no_sound_at_all_gives_no_stems(folder: Path) -> None:
    stems, _ = split(folder, Audio(np.zeros((2, 0), np.float32), tiny.RATE))
    assert stems == {}


@pytest.mark.long
def test_the_same_again_is_bit_identical_and_shifts_follow_the_seed(folder: Path) -> None:
    source = noise(2, 60_000)
    one, other, next_seed = (split(folder, source, seed, shifts=1)[0] for seed in (3, 3, 4))
    plain = [split(folder, source, seed)[0] for seed in (3, 4)]
    for stem in one:
        np.testing.assert_array_equal(one[stem], other[stem])
        np.testing.assert_array_equal(plain[0][stem], plain[1][stem])
        assert np.abs(one[stem] - next_seed[stem]).max() > 1e-6


@pytest.mark.long
def test_a_segment_is_refused_for_a_transformer_with_the_reason_and_its_maximum(folder: Path) -> None:
    with pytest.raises(errors.InvalidParameter, match=r"chunks of 1 s.*mdx and hdemucs"):
        split(folder, noise(2, 1000), segment=12)
    changed, done = split(folder, noise(2, 90_000), model="hdemucs_mmi", segment=1)
    assert done.options["segment"] == 1
    assert (
        np.abs(changed[Stem("bass")] - split(folder, noise(2, 90_000), model="hdemucs_mmi")[0][Stem("bass")]).max()
        > 1e-6
    )


@pytest.mark.parametrize(
    "options", [{"overlap": 1}, {"overlap": -0.1}, {"shifts": -1}, {"segment": 0}, {"precision": "half"}, {"batch": 0}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DemucsOptions.model_validate(options)


def test_wrong_names_are_refused_with_the_right_ones(folder: Path) -> None:
    with pytest.raises(errors.InvalidParameter, match="htdemucs_ft"):
        Demucs(DemucsConfig()).stems_of("htdemux")
    with pytest.raises(errors.InvalidParameter, match=r"no stem piano.*vocals"):
        split(folder, noise(2, 100), only=("piano",))
    with pytest.raises(errors.InvalidParameter, match="exclude"):
        split(folder, noise(2, 100), residual=True, sum_to_mix=True)
    with pytest.raises(errors.InvalidParameter, match="device"):
        split(folder, noise(2, 100), device="abacus")


def test_missing_weights_say_what_fetches_them(folder: Path) -> None:
    with pytest.raises(errors.ModelNotFound) as raised:
        split(folder, noise(2, 100), model="mdx_extra")
    assert "sotto models pull mdx_extra" in raised.value.hint
    with pytest.raises(errors.ModelNotFound):
        Demucs(DemucsConfig()).separate(ArrayReader(noise(2, 100)), Counting(), DemucsOptions(runtime="torch"), Run())


def test_a_file_of_ones_own_names_its_stems(tmp_path: Path) -> None:
    path = tiny.save(tiny.htdemucs(sources=["vocals", "other"]), tmp_path / "mine.safetensors")
    assert Demucs(DemucsConfig()).stems_of(str(path)) == ("vocals", "other")
    stems, done = split(tmp_path, noise(2, 20_000), model=str(path))
    assert tuple(stems) == ("vocals", "other")
    assert done.model == "mine.safetensors"
    assert done.options["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_progress_rises_to_the_end(folder: Path) -> None:
    seen: list[Progress] = []
    engine = Demucs(DemucsConfig(), tiny.Folder(folder))
    engine.separate(Endless(4), Counting(), DemucsOptions(runtime="torch"), Run(progress=seen.append))
    percents = [step.percent for step in seen]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert seen[-1].step == seen[-1].total == 6


@pytest.mark.long
def test_a_cancel_waits_for_one_chunk_at_most(folder: Path) -> None:
    engine, sink = Demucs(DemucsConfig(), tiny.Folder(folder)), Counting()

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        engine.separate(Endless(3600), sink, DemucsOptions(runtime="torch"), Run(progress=stop))
    assert max(sink.frames.values()) <= 2 * tiny.RATE
    engine.separate(Endless(1), Counting(), DemucsOptions(runtime="torch"), Run())


@pytest.mark.long
def test_memory_does_not_grow_with_the_length(folder: Path) -> None:
    engine = Demucs(DemucsConfig(), tiny.Folder(folder))

    def peak(seconds: float) -> int:
        tracemalloc.start()
        engine.separate(Endless(seconds, channels=1), Counting(), DemucsOptions(overlap=0, runtime="torch"), Run())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(3)
    assert peak(40) < 1.1 * peak(20)


@pytest.mark.long
def test_auto_measures_once_and_says_what_it_took(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")

    def run() -> dict[str, Any]:
        engine = Demucs(DemucsConfig(cache=tmp_path), tiny.Folder(folder))
        options = DemucsOptions(runtime="openvino", precision="auto")
        return dict(engine.separate(ArrayReader(noise(2, 20_000)), Counting(), options, Run()).options)

    first = run()
    monkeypatch.setattr(runtime, "Composer", None)
    assert run() == first
    if "deviation_db" in first:  # the processor has bfloat16
        assert first["precision"] == ("fast" if first["deviation_db"] <= runtime.GOOD_ENOUGH_DB else "exact")
    else:
        assert first["precision"] == "exact"
