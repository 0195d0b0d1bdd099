"""Measured speeds: what is kept, and what replaces what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sottovoce.machine import processor
from sottovoce.speeds import keep_speed, measured, read_speeds


def report(**changes: Any) -> dict[str, Any]:
    options = {"precision": "fast", "device": "cpu"}
    return {"engine": "demucs", "model": "htdemucs", "options": options, "speed": 2.5, "seconds": 60.0} | changes


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    place = tmp_path / "speed.json"
    assert read_speeds(place) == ()
    speed = measured(report())
    assert speed is not None
    assert (speed.machine, str(speed)) == (processor(), "2.5x realtime (fast)")
    keep_speed(place, speed)
    other = measured(report(model="htdemucs_ft", speed=0.6))
    assert other is not None
    keep_speed(place, other)
    assert read_speeds(place) == (speed, other)
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]


def test_a_short_piece_does_not_replace_a_longer_one_but_a_long_one_does(tmp_path: Path) -> None:
    place = tmp_path / "speed.json"
    for seconds, speed, kept in ((6, 0.5, 0.5), (8, 0.7, 0.7), (60, 2.5, 2.5), (6, 0.5, 2.5), (40, 2.4, 2.4)):
        made = measured(report(seconds=seconds, speed=speed))
        assert made is not None
        keep_speed(place, made)
        assert [each.times for each in read_speeds(place)] == [kept]


def test_stems_that_were_kept_and_weights_of_ones_own_tell_no_speed() -> None:
    assert measured(report(cached=True)) is None
    assert measured(report(options={"sha256": "ab"})) is None
    assert measured({"engine": "tone"}) is None


def test_a_damaged_file_is_none_and_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "speed.json"
    place.write_text("{not json")
    assert read_speeds(place) == ()
    speed = measured(report())
    assert speed is not None
    keep_speed(place, speed)
    assert read_speeds(place) == (speed,)
