from __future__ import annotations

from collections import Counter

import pytest

from sottovoce.composer.rng import between, chance, normal, pick, stream, weighted, whole


def test_a_stream_is_its_own_and_repeats() -> None:
    assert stream(7, "drums").random() == stream(7, "drums").random()
    assert stream(7, "drums").random() != stream(7, "bass").random()
    assert stream(7, "drums").random() != stream(8, "drums").random()


def test_streams_never_change() -> None:
    rng = stream(1, "pinned")
    assert [whole(rng, 0, 99) for _ in range(6)] == [25, 0, 62, 96, 41, 18]


def test_weights_are_obeyed() -> None:
    rng = stream(1, "weights")
    counts = Counter(weighted(rng, [("often", 3.0), ("seldom", 1.0), ("never", 0.0)]) for _ in range(4000))
    assert counts["never"] == 0
    assert counts["often"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_nothing_to_pick_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to pick"):
        pick(stream(1), [])


def test_normal_has_its_deviation_and_bounds() -> None:
    rng = stream(1, "normal")
    values = [normal(rng, 3.0) for _ in range(4000)]
    mean = sum(values) / len(values)
    assert mean == pytest.approx(0, abs=0.2)
    assert (sum(v * v for v in values) / len(values)) ** 0.5 == pytest.approx(3.0, rel=0.05)
    assert max(map(abs, values)) <= 6.0


def test_ranges_and_orders() -> None:
    rng = stream(1, "ranges")
    assert all(2 <= between(rng, 2, 3) <= 3 for _ in range(100))
    assert {whole(rng, 1, 3) for _ in range(100)} == {1, 2, 3}
    assert chance(rng, 1.0)
    assert not chance(rng, 0.0)
