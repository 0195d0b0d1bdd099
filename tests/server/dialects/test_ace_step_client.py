"""Our own client of ACE-Step's server, pointed at ours with a real worker: it sees no difference."""

from __future__ import annotations

import httpx
import pytest

from sottovoce import errors
from sottovoce.engines.ace_step_api import AceStepApi
from sottovoce.engines.ace_step_formatter import AceStepFormatter, AceStepFormatterOptions
from sottovoce.engines.ace_step_order import AceStepApiOptions
from sottovoce.engines.ace_step_wire import AceStepApiConfig
from sottovoce.engines.base import Run
from sottovoce.progress import Progress
from sottovoce.prompt import Key, Prompt


@pytest.mark.long
def test_our_own_client_works_against_it(served: str) -> None:
    config, seen = AceStepApiConfig(api_url=served), list[Progress]()
    engine, run = AceStepApi(config), Run(seen.append)
    assert engine.unavailable() is None
    models = engine.models(run)
    assert [model.name for model in models] == ["tone", "composer"]
    assert models[0].default
    prompt = Prompt(words="calm piano", seconds=11.5, seed=42, bpm=80.0, key=Key(9, minor=True), time_signature="4/4")
    takes = engine.generate_batch(prompt, (42, 43), AceStepApiOptions(), run)
    assert [take.audio.frames for take in takes] == [round(11.5 * 48_000)] * 2
    assert [(take.model, take.key, take.options["seed_used"]) for take in takes] == [
        ("tone", "A minor", "42"),
        ("tone", "A minor", "43"),
    ]
    assert not any(take.notes for take in takes)
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    composed = engine.generate(prompt, AceStepApiOptions(model="composer"), run)
    assert composed.model == "composer"
    said = AceStepFormatter(config).enhance(prompt, AceStepFormatterOptions(), run)
    assert said.words.startswith("calm piano, ")
    assert (said.bpm, said.key, said.time_signature) == (80.0, Key(9, minor=True), "4/4")
    with pytest.raises(errors.InvalidParameter, match="no model 'base'"):
        engine.generate(prompt, AceStepApiOptions(model="base"), run)
    jobs = httpx.get(f"{served}/api/jobs", trust_env=False).json()["jobs"]
    assert [job["state"] for job in jobs] == ["done", "done"]
