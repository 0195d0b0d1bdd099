import numpy as np
import pytest
from pydantic import ValidationError

from sottovoce import errors
from sottovoce.audio import ArrayReader, ArrayWriter, Audio, read_all
from sottovoce.engines.base import NoConfig, Run
from sottovoce.engines.tone import Pretence, PretendedMood, Tone, ToneMood, ToneSeparator
from sottovoce.progress import Progress
from sottovoce.prompt import Key, Prompt


def prompt(seconds: float = 5.0, seed: int = 1, key: Key | None = None) -> Prompt:
    return Prompt("anything", seconds, seed, key=key)


@pytest.mark.parametrize("seconds", [5.0, 7.123, 0.5])
def test_a_take_is_as_long_as_asked_and_its_stems_add_up(seconds: float) -> None:
    made = Tone(NoConfig()).generate(prompt(seconds), Pretence(), Run())
    assert made.audio.samples.shape == (2, round(seconds * 48_000))
    assert made.audio.samples.dtype == np.float32
    total = sum(read_all(stem).samples for stem in made.stems.values())
    np.testing.assert_allclose(total, made.audio.samples, atol=1e-7)
    assert 0.01 < np.abs(made.audio.samples).max() < 0.2
    assert not made.audio.samples[:, 0].any()


def test_the_seed_decides_the_key_unless_it_is_asked_for() -> None:
    engine = Tone(NoConfig())
    one, same, other = (engine.generate(prompt(seed=seed), Pretence(), Run()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.audio.samples, same.audio.samples)
    assert one.key != other.key
    assert engine.generate(prompt(key=Key(9, minor=True)), Pretence(), Run()).key == "A minor"


def test_the_split_adds_up() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 100_001)).astype(np.float32)
    sink = ArrayWriter(44_100)
    done = ToneSeparator(NoConfig()).separate(ArrayReader(Audio(samples, 44_100)), sink, Pretence(), Run())
    stems = sink.stems()
    assert tuple(stems) == done.stems == ToneSeparator(NoConfig()).stems_of(None)
    np.testing.assert_allclose(sum(stem.samples for stem in stems.values()), samples, atol=1e-6)


def test_the_split_has_no_models() -> None:
    with pytest.raises(errors.InvalidParameter, match="no models"):
        ToneSeparator(NoConfig()).stems_of("large")


def test_the_mood_is_the_one_asked_for() -> None:
    mood = ToneMood(NoConfig()).read([], None, PretendedMood(mood="happy"), Run())
    assert mood.primary_mood == "happy"
    assert "no sound" in mood.description


def test_it_fails_as_asked_after_some_progress() -> None:
    seen: list[Progress] = []
    with pytest.raises(errors.OutOfMemory):
        Tone(NoConfig()).generate(prompt(), Pretence(fail="OUT_OF_MEMORY"), Run(progress=seen.append))
    assert [step.percent for step in seen] == sorted(step.percent for step in seen)
    assert 0 < seen[-1].percent <= 50


def test_an_unknown_failure_is_refused() -> None:
    with pytest.raises(ValidationError, match="TIMED_OUT"):
        Pretence(fail="BAD_LUCK")


def test_a_long_delay_reports_often_enough_to_be_cancelled() -> None:
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) > 3:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        Tone(NoConfig()).generate(prompt(), Pretence(delay=3600), Run(progress=stop))
    assert seen[-1].percent < 0.01
