"""What decides Demucs' stems besides source and options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("demucs", reason="the extra demucs is not installed")

from tests.engines import tiny_demucs as tiny

from sottovoce import errors
from sottovoce.engines.base import Run
from sottovoce.engines.demucs.engine import Demucs
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.save(tiny.htdemucs(), tmp_path / "955717e8.safetensors")
    tiny.save(tiny.hdemucs(), tmp_path / "75fc33f5.safetensors")
    return tmp_path


def settled(folder: Path, *, seed: int = 0, config: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    engine = Demucs(DemucsConfig(**(config or {})), tiny.Folder(folder))
    return dict(engine.settled(DemucsOptions(**options), Run(seed=seed)))


def test_the_seed_counts_where_shifts_are_drawn_from_it(folder: Path) -> None:
    assert settled(folder, seed=1) == settled(folder, seed=2)
    assert settled(folder, seed=1, shifts=2) != settled(folder, seed=2, shifts=2)


def test_settings_count_as_options_do(folder: Path) -> None:
    plain = settled(folder)
    changes: dict[str, Any] = {
        "overlap": 0.5,
        "shifts": 1,
        "precision": "exact",
        "model": "hdemucs_mmi",
        "threads": 3,
    }
    for name, value in changes.items():
        assert settled(folder, config={name: value}) == settled(folder, **{name: value}) != plain


def test_other_weights_under_the_same_name_are_another_model(folder: Path) -> None:
    before = settled(folder), settled(folder, model=str(folder / "955717e8.safetensors"))
    tiny.save(tiny.htdemucs(seed=2), folder / "955717e8.safetensors")
    assert settled(folder) != before[0]
    assert settled(folder, model=str(folder / "955717e8.safetensors")) != before[1]


def test_weights_that_are_not_there_are_said(folder: Path) -> None:
    for name in ("gone.safetensors", "gone.th"):
        with pytest.raises(errors.ModelNotFound):
            settled(folder, model=str(folder / name))
