"""Progress of a part within the whole."""

from __future__ import annotations

from sottovoce.progress import Progress, within


def test_a_part_fills_its_share_of_the_whole() -> None:
    seen: list[Progress] = []
    part = within(seen.append, 20, 60)
    for percent in (0, 50, 100):
        part(Progress("render", percent, step=1, total=2))
    assert [progress.percent for progress in seen] == [20, 40, 60]
    assert {(progress.stage, progress.step, progress.total) for progress in seen} == {("render", 1, 2)}
