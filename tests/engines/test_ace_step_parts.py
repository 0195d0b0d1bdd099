"""The parts of the ACE-Step engine that need no network: solver, progress, memory, joins, endings, names of LoRAs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the extra ace-step is not installed")

import torch

from sottovoce import errors
from sottovoce.audio import Samples
from sottovoce.dsp.loudness import integrated, true_peak_db
from sottovoce.engines.ace_step.course import Course
from sottovoce.engines.ace_step.editing import Editing, restored
from sottovoce.engines.ace_step.finish import ended, finished
from sottovoce.engines.ace_step.lora import parse_lora
from sottovoce.engines.ace_step.memory import Needs, fitting_batch, tier_for, working
from sottovoce.engines.ace_step.pipeline import scheduler
from sottovoce.engines.base import Run
from sottovoce.progress import Progress

RATE = 48_000


def solved(name: str, steps: int) -> tuple[float, int]:
    """x' = 2 x from 1 at time 1 back to time 0 (the truth is e^-2), and how often the slope was asked for."""
    made = scheduler(name)
    made.set_timesteps(sigmas=torch.linspace(1, 0, steps + 1)[:-1].tolist(), device="cpu")
    sample = torch.ones(1, 1, 1)
    for time in made.timesteps:
        sample = made.step(2 * sample, time, sample, return_dict=False)[0]
    return float(sample), len(made.timesteps)


def test_heun_is_nearer_the_truth_than_euler_at_the_same_cost() -> None:
    truth = float(np.exp(-2))
    heun, passes = solved("heun", 20)
    euler, same = solved("euler", 39)
    assert passes == same == 39
    assert abs(heun - truth) < 0.4 * abs(euler - truth)
    assert solved("heun", 1) == solved("euler", 1)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


STAGES = {"prepare": (1, 0.5), "render": (8, 1.0), "decode": (6, 0.9), "finish": (1, 0.6)}


def travelled(expected: dict[str, float]) -> tuple[list[tuple[float, Progress]], dict[str, float]]:
    """A run of the stages above: what was said when, and what each took."""
    clock = Clock()
    seen: list[tuple[float, Progress]] = []
    course = Course(Run(progress=lambda progress: seen.append((clock.now - 100, progress))), expected, clock)
    for stage, (steps, seconds) in STAGES.items():
        course.at(stage, 0, steps)
        for step in range(steps):
            clock.now += seconds
            course.at(stage, step + 1, steps)
    course.end()
    return seen, course.took


def test_progress_is_within_a_tenth_of_the_truth_at_half_time_once_it_has_learnt() -> None:
    first, took = travelled({"prepare": 0.01, "render": 2.0, "decode": 0.1, "finish": 0.01})
    again, _ = travelled(took)
    whole = sum(steps * seconds for steps, seconds in STAGES.values())
    for seen, within in ((first, 35), (again, 5)):
        percents = [progress.percent for _, progress in seen]
        assert percents == sorted(percents)
        assert percents[-1] < 100
        half = [(at, progress) for at, progress in seen if at <= whole / 2][-1]
        assert abs(half[1].percent - 100 * half[0] / whole) < within
    left = [(at, progress.eta) for at, progress in again if progress.stage == "render"]
    assert all(eta is not None and abs(eta - (whole - at)) < 1 for at, eta in left)


def test_the_fastest_tier_that_fits_is_taken() -> None:
    needs, rest = Needs({"transformer": 4_000_000_000, "vae": 1_000_000_000, "text_encoder": 2_000_000_000}), 10**9
    tiers = [tier_for(needs, free, rest, "cuda") for free in (9 * 10**9, 6 * 10**9, 2 * 10**9)]
    assert tiers == ["resident", "parts", "layers"]
    with pytest.raises(errors.ModelLoadFailed, match=r"8\.0 GB of memory on cpu.* 6\.0 GB are free") as failed:
        tier_for(needs, 6 * 10**9, rest, "cpu")
    assert failed.value.details == {"needed": 8 * 10**9, "free": 6 * 10**9, "device": "cpu"}
    with pytest.raises(errors.ModelLoadFailed):
        tier_for(needs, 10**8, rest, "cuda:1")


def test_as_many_at_once_as_fit() -> None:
    one, four = (working(1500, count, "bfloat16") for count in (1, 4))
    assert fitting_batch(10 * four, 1500, 8, "bfloat16") == 8
    assert fitting_batch(four, 1500, 8, "bfloat16") == 4
    assert fitting_batch(one // 2, 1500, 8, "bfloat16") == 1
    assert working(1500, 1, "float32") > one


def test_a_lora_is_a_path_and_a_scale(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "x.pt").write_bytes(b"")
    assert parse_lora(str(tmp_path)).scale == 1.0
    assert parse_lora(f"{tmp_path}:0.25").scale == 0.25
    assert parse_lora(f"{tmp_path}/adapter_model.safetensors:-1").path.name == "adapter_model.safetensors"
    with pytest.raises(errors.WeightsRefused):
        parse_lora(str(tmp_path / "x.pt"))
    with pytest.raises(errors.InvalidParameter):
        parse_lora(f"{tmp_path}:0")


def tone(seconds: float, hertz: float = 220, level: float = 0.2) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.tile((level * np.sin(2 * np.pi * hertz * time)).astype(np.float32), (2, 1))


def test_a_repaint_takes_the_level_of_its_surroundings_and_joins_without_a_jump() -> None:
    kept, made = tone(6, level=0.1), tone(6, level=0.8)
    edited = restored(made, Editing("repaint", kept, kept, 2.0, 4.0))
    assert edited.shape == kept.shape
    assert np.array_equal(edited[:, : 2 * RATE], kept[:, : 2 * RATE])
    assert np.array_equal(edited[:, 4 * RATE :], kept[:, 4 * RATE :])
    assert np.abs(edited).max() < 0.12
    assert np.abs(np.diff(edited)).max() < 2 * np.abs(np.diff(kept)).max()


def test_repaints_at_either_end_keep_the_length() -> None:
    kept, made = tone(5), tone(5)
    for start, end in ((0.0, 2.0), (3.0, 5.0), (0.0, 5.0)):
        edited = restored(made, Editing("repaint", kept, kept, start, end))
        assert edited.shape == kept.shape


def test_music_ends_where_it_is_to() -> None:
    made = tone(10)
    exact = ended(made, 10 * RATE)
    assert np.array_equal(exact, made)
    hair, half = ended(made, 10 * RATE - 1000), ended(made, 5 * RATE)
    assert (hair.shape[1], half.shape[1]) == (10 * RATE - 1000, 5 * RATE)
    assert max(np.abs(part[:, -10:]).max() for part in (hair, half)) < 0.01
    assert np.array_equal(hair[:, : 9 * RATE], made[:, : 9 * RATE])
    assert not ended(made, 10 * RATE + 100)[:, -100:].any()


@pytest.mark.parametrize("loudness", [None, -10.0, -24.0])
def test_loudness_is_met_under_the_ceiling(loudness: float | None) -> None:
    draw = np.random.default_rng(1).standard_normal((2, 8 * RATE)).astype(np.float32)
    draw *= 0.05 + 0.2 * (np.arange(8 * RATE) % RATE < 2000)
    made = finished(draw + np.float32(0.01), 8.0, loudness)
    assert abs(integrated(made, RATE) - (-16.0 if loudness is None else loudness)) < 0.3
    assert true_peak_db(made, RATE) <= -1
    assert abs(made.mean()) < 1e-4
