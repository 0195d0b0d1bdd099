"""The engine with small random models: lengths, rates, seeds, windows, melodies, refusals, damage, cancel, memory."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra musicgen is not installed")

import torch
from pydantic import ValidationError
from tests.engines import tiny_musicgen as tiny

from sottovoce import errors
from sottovoce.audio import ArrayReader, Audio
from sottovoce.dsp.loudness import integrated
from sottovoce.engines.base import Generated, Run
from sottovoce.engines.musicgen import windows
from sottovoce.engines.musicgen.engine import Musicgen, finished
from sottovoce.engines.musicgen.options import MODELS, LocalMusicgenConfig, MusicgenOptions
from sottovoce.progress import Progress
from sottovoce.prompt import Edit, Prompt

EXACT = MusicgenOptions(precision="exact")
PROMPT = Prompt("calm piano", 1.5, 3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each kind."""
    root = tmp_path_factory.mktemp("models")
    return {kind: tiny.save(tiny.model(kind), root / kind) for kind in ("mono", "stereo", "melody")}


def engine(folder: Path, **config: Any) -> Musicgen:
    return Musicgen(LocalMusicgenConfig(**config), tiny.Folder(folder), "cpu")


@cache
def loaded(folder: Path) -> Musicgen:
    """An engine that keeps its model from test to test."""
    return engine(folder)


def tune(seconds: float = 2.0, rate: int = 44_100) -> ArrayReader:
    steps = 440 * 2 ** (np.array([0, 4, 7, 12]) / 12)
    hertz = steps[(np.arange(round(seconds * rate)) * 4 // round(seconds * rate))]
    sound = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / rate)
    return ArrayReader(Audio(np.stack([sound, sound]).astype(np.float32), rate))


@pytest.mark.parametrize(("kind", "seconds"), [("mono", 1.0), ("mono", 1.2345), ("stereo", 1.5)])
def test_takes_are_stereo_at_48_khz_and_exact_in_length_and_loudness(
    folders: dict[str, Path], kind: str, seconds: float
) -> None:
    made = loaded(folders[kind]).generate(replace(PROMPT, seconds=seconds, loudness=-20.0), EXACT, Run())
    assert made.audio.samples.shape == (2, round(seconds * 48_000))
    assert made.audio.rate == 48_000
    assert integrated(made.audio.samples, 48_000) == pytest.approx(-20, abs=0.3)
    assert np.abs(made.audio.samples[:, -10:]).max() < 1e-3
    assert np.array_equal(*made.audio.samples) == (kind == "mono")


def test_the_recipe_says_what_was_used_and_the_licence(folders: dict[str, Path]) -> None:
    made = loaded(folders["mono"]).generate(PROMPT, MusicgenOptions(precision="exact", guidance=4), Run())
    assert made.options["guidance"] == 4
    assert made.options["model"] == "small"
    assert (made.options["top_k"], made.options["temperature"], made.options["windows"]) == (250, 1.0, 1)
    assert (made.model, made.device, made.precision) == ("musicgen-small", "cpu", "float32")
    assert made.revision == "0" * 40
    assert any("non-commercial" in note for note in made.notes)
    assert "CC-BY-NC" in Musicgen.capabilities.licence


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_music(folders: dict[str, Path]) -> None:
    again = loaded(folders["mono"])
    torch.manual_seed(99)
    drawn = torch.rand(1)
    torch.manual_seed(99)
    first, second = (again.generate(PROMPT, EXACT, Run()).audio.samples for _ in range(2))
    assert torch.rand(1) == drawn
    np.testing.assert_array_equal(first, second)
    other = again.generate(replace(PROMPT, seed=4), EXACT, Run()).audio.samples
    assert np.abs(first - other).max() > 0.01
    assert not hasattr(again, "generate_batch")


def told(folder: Path) -> str:
    """The hashes of a take in either precision."""
    takes = (engine(folder).generate(PROMPT, MusicgenOptions(precision=name), Run()) for name in ("exact", "fast"))
    return " ".join(hashlib.sha256(take.audio.samples.tobytes()).hexdigest() for take in takes)


@pytest.mark.long
def test_the_same_seed_gives_the_same_bits_in_another_process(folders: dict[str, Path]) -> None:
    program = (
        "import sys, pathlib; from tests.engines.test_musicgen import told; print(told(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(folders["mono"])]
    there = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True).stdout
    assert there.strip() == told(folders["mono"])


@pytest.mark.long
def test_fast_is_bfloat16_and_near_enough_to_be_music(folders: dict[str, Path]) -> None:
    made = engine(folders["mono"]).generate(PROMPT, MusicgenOptions(precision="fast"), Run())
    assert made.precision == "bfloat16"
    assert made.options["precision"] == "fast"
    assert np.isfinite(made.audio.samples).all()


def test_scores_in_bfloat16_are_those_in_float32_to_its_precision(folders: dict[str, Path]) -> None:
    from sottovoce.engines.musicgen.model import load
    from sottovoce.engines.musicgen.network import Session

    scores = []
    for precision in ("exact", "fast"):
        model = load(folders["mono"], "cpu", precision, lambda share: None)
        with torch.inference_mode():
            session = Session(model.network, model.condition("calm", None, guided=True), 40)
            tokens = torch.arange(80).reshape(4, 20) % tiny.VOCABULARY
            session.advance(tokens, lambda: None)
            scores.append(session.advance(tokens[:, :1], lambda: None))
    exact, fast = scores
    assert torch.corrcoef(torch.stack([exact.flatten(), fast.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("frames", [1, 1500, 1501, 2399, 2400, 2401, 30_000])
def test_windows_go_on_from_one_another_and_make_every_frame_once(frames: int) -> None:
    parts = windows.windows(frames)
    end = 0
    for part in parts:
        assert part.start + part.context == end
        assert part.context in (0, 600)
        assert part.frames - part.context > 0
        assert part.frames <= 1500
        end = part.end
    assert end == frames


def test_long_forms_join_without_clicks(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW", 60)
    monkeypatch.setattr(windows, "CONTEXT", 24)
    made = loaded(folders["mono"]).generate(replace(PROMPT, seconds=3.0), EXACT, Run())
    assert made.options["windows"] == 4
    assert any("windows" in note for note in made.notes)
    seams = [(60 + 36 * index) * 960 for index in range(3)]
    whole = _steps(made, range(48_000, 130_000))
    assert all(_steps(made, range(seam - 48, seam + 48)) <= whole for seam in seams)


def _steps(made: Generated, frames: range) -> float:
    """The steepest step between samples."""
    return float(np.abs(np.diff(made.audio.samples[0, frames.start : frames.stop], n=2)).max())


def test_progress_hears_of_every_token_and_never_goes_back(folders: dict[str, Path]) -> None:
    heard: list[Progress] = []
    loaded(folders["mono"]).generate(PROMPT, EXACT, Run(heard.append))
    percents = [each.percent for each in heard]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    steps = [each.step for each in heard if each.stage == "generate" and each.step]
    assert steps == list(range(1, 79))
    assert {each.total for each in heard if each.stage == "generate"} == {78}


@pytest.mark.long
@pytest.mark.parametrize("stage", ["load", "generate", "decode"])
def test_a_cancel_stops_at_once_and_leaves_nothing_behind(folders: dict[str, Path], stage: str) -> None:
    heard: list[Progress] = []

    def cancel(progress: Progress) -> None:
        heard.append(progress)
        if progress.stage == stage and (stage != "generate" or progress.step == 20):
            raise errors.Cancelled("asked for")

    again = engine(folders["mono"])
    with pytest.raises(errors.Cancelled):
        again.generate(PROMPT, EXACT, Run(cancel))
    assert heard[-1].stage == stage
    assert again.generate(PROMPT, EXACT, Run()).audio.frames == 72_000


@pytest.mark.long
def test_closing_gives_the_model_back(folders: dict[str, Path]) -> None:
    again = engine(folders["mono"])
    again.generate(PROMPT, EXACT, Run())
    held = again._loaded.model
    assert held is not None
    network = weakref.ref(held.network)
    del held
    again.close()
    gc.collect()
    assert network() is None


@pytest.mark.long
def test_one_model_is_kept_and_loaded_once(folders: dict[str, Path]) -> None:
    again = engine(folders["mono"])
    again.generate(PROMPT, EXACT, Run())
    held = again._loaded.model
    again.generate(replace(PROMPT, seed=9), EXACT, Run())
    assert again._loaded.model is held


@pytest.mark.long
@pytest.mark.parametrize("asked", ["cover", "reference"])
def test_a_melody_is_followed_and_picks_its_model(folders: dict[str, Path], asked: str) -> None:
    again = loaded(folders["melody"])
    given: dict[str, Any] = {"edit": Edit("cover", tune())} if asked == "cover" else {"reference": tune()}
    made = again.generate(replace(PROMPT, **given), EXACT, Run())
    assert made.model == "musicgen-melody"
    plain = again.generate(PROMPT, MusicgenOptions(model="melody", precision="exact"), Run())
    assert np.abs(made.audio.samples - plain.audio.samples).max() > 0.01


@pytest.mark.long
def test_a_model_that_follows_no_melody_says_so(folders: dict[str, Path]) -> None:
    asked = MusicgenOptions(model="small", precision="exact")
    with pytest.raises(errors.InvalidParameter, match="melody") as caught:
        loaded(folders["mono"]).generate(replace(PROMPT, reference=tune()), asked, Run())
    assert "melody" in caught.value.hint


@pytest.mark.parametrize("seconds", [0.5, 600.1, float("nan")])
def test_lengths_out_of_range_are_refused_before_anything_is_loaded(seconds: float) -> None:
    again = Musicgen(LocalMusicgenConfig(), None, "cpu")
    with pytest.raises(errors.InvalidDuration, match="1 to 600"):
        again.generate(replace(PROMPT, seconds=seconds), EXACT, Run())


@pytest.mark.parametrize("task", ["repaint", "extend"])
def test_edits_it_cannot_do_are_refused(task: Any) -> None:
    with pytest.raises(errors.InvalidParameter, match=task):
        Musicgen(LocalMusicgenConfig(), None, "cpu").generate(replace(PROMPT, edit=Edit(task, tune())), EXACT, Run())


@pytest.mark.parametrize("wrong", [{"guidance": 0.5}, {"guidance": 11}, {"steps": 8}, {"scheduler": "euler"}])
def test_options_out_of_range_or_of_other_models_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MusicgenOptions(**wrong)


def test_an_unknown_model_lists_those_there_are() -> None:
    with pytest.raises(errors.InvalidParameter, match="stereo-melody"):
        Musicgen(LocalMusicgenConfig(model="huge"), None, "cpu").generate(PROMPT, EXACT, Run())


def test_missing_weights_say_what_to_type() -> None:
    with pytest.raises(errors.ModelNotFound) as caught:
        Musicgen(LocalMusicgenConfig(), None, "cpu").generate(PROMPT, EXACT, Run())
    assert "sotto models pull" in caught.value.hint


@pytest.mark.long
def test_a_folder_of_ones_own_is_known_by_its_hash(folders: dict[str, Path]) -> None:
    options = MusicgenOptions(model=str(folders["mono"]), precision="exact")
    made = Musicgen(LocalMusicgenConfig(), None, "cpu").generate(PROMPT, options, Run())
    assert made.sha256 is not None
    assert len(made.sha256) == 64
    assert str(folders["mono"].parent) not in str(made)


@pytest.mark.long
def test_damaged_weights_are_said_to_be(folders: dict[str, Path], tmp_path: Path) -> None:
    broken = tiny.copied(folders["mono"], tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(errors.ModelLoadFailed, match="cannot be loaded") as caught:
        engine(broken).generate(PROMPT, EXACT, Run())
    assert "verify" in caught.value.hint


def test_pickled_weights_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    pickled = tiny.copied(folders["mono"], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(errors.WeightsRefused):
        engine(pickled).generate(PROMPT, EXACT, Run())


def test_too_little_memory_says_what_is_needed(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from sottovoce.engines.musicgen import model

    monkeypatch.setattr(model, "free_memory", lambda device: 1000)
    with pytest.raises(errors.ModelLoadFailed, match="GB"):
        engine(folders["mono"]).generate(PROMPT, EXACT, Run())


@pytest.mark.long
def test_scores_that_are_no_numbers_fail_the_take(folders: dict[str, Path]) -> None:
    again = engine(folders["mono"])
    again.generate(PROMPT, EXACT, Run())
    assert again._loaded.model is not None
    again._loaded.model.network.outputs.fill_(float("nan"))
    with pytest.raises(errors.ModelInferenceFailed) as caught:
        again.generate(PROMPT, EXACT, Run())
    assert "--seed" in caught.value.hint


def test_samples_that_are_no_numbers_fail_the_take() -> None:
    with pytest.raises(errors.ModelInferenceFailed):
        finished(np.full((1, 48_000), np.nan, np.float32), 32_000, PROMPT)


def test_unavailable_names_the_switch() -> None:
    for config, word in (({"enabled": False}, "enabled"), ({"mode": "api"}, "mode")):
        missing = Musicgen(LocalMusicgenConfig(**config)).unavailable()
        assert missing is not None
        assert word in missing.cure
    assert Musicgen(LocalMusicgenConfig()).unavailable() is None


def test_every_model_can_be_pulled() -> None:
    from sottovoce.weights.manifest import builtin

    known = builtin()
    for name in MODELS:
        assert known[f"musicgen-{name}"].non_commercial
