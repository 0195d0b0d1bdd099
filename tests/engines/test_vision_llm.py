from __future__ import annotations

import base64
import io
import json
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

import av
import numpy as np
import pytest
from tests.servers.llm import LlmServer, llm_server

from sottovoce import errors
from sottovoce.engines.base import Capabilities, EngineOptions, MoodReader, NoConfig, Run
from sottovoce.engines.catalog import MOOD_READERS, Catalog
from sottovoce.engines.keyframes import Keyframes
from sottovoce.engines.llm import LlmConfig
from sottovoce.engines.vision_llm import VisionLlm
from sottovoce.media.picture import Keyframe
from sottovoce.moods import Mood

MOOD = {
    "primary_mood": "playful",
    "secondary_mood": None,
    "energy_level": "high",
    "tempo_suggestion": "fast",
    "genre_suggestions": ["indie", "upbeat"],
    "color_palette": "vibrant",
    "description": "Children run over a lawn.",
    "confidence": 0.9,
}


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as state:
        yield state


def pictures(count: int, width: int = 640, height: int = 360) -> list[Keyframe]:
    shade = [np.full((height, width, 3), 20 * index, np.uint8) for index in range(count)]
    return [Keyframe(float(index), pixels) for index, pixels in enumerate(shade)]


def reader(server: LlmServer, provider: str = "ollama", **settings: Any) -> VisionLlm:
    address = server.ollama if provider == "ollama" else server.openai
    return VisionLlm(LlmConfig.model_validate({"provider": provider, "base_url": address, **settings}))


def read(server: LlmServer, answer: object, *, provider: str = "ollama") -> Mood:
    server.answers = deque([answer if isinstance(answer, str) else json.dumps(answer)])
    return reader(server, provider).read(pictures(2), None, EngineOptions(), Run())


def shape_of(picture: str) -> tuple[int, ...]:
    with av.open(io.BytesIO(base64.b64decode(picture)), "r") as container:
        return np.shape(next(container.decode(video=0)).to_ndarray(format="rgb24"))


@pytest.mark.parametrize("provider", ["ollama", "openai-compatible"])
def test_a_structured_mood_comes_back(server: LlmServer, provider: str) -> None:
    assert read(server, MOOD, provider=provider) == Mood.model_validate(MOOD)
    assert read(server, f"```json\n{json.dumps(MOOD)}\n```", provider=provider) == Mood.model_validate(MOOD)


def test_at_most_four_small_pictures_are_sent_and_what_is_asked_names_every_choice(server: LlmServer) -> None:
    reader(server).read(pictures(9), None, EngineOptions(), Run())
    body = server.asked[0][1]
    assert [shape_of(picture) for picture in body["images"]] == [(288, 512, 3)] * 4
    assert len(set(body["images"])) == 4
    assert body["options"] | {"seed": 0} == {"temperature": 0.3, "num_predict": 500, "seed": 0}
    for word in ("nostalgic", "exciting", "orchestral", "muted", "Only respond with valid JSON", "5. "):
        assert word in body["prompt"]
    reader(server).read(pictures(1, 64, 36), None, EngineOptions(), Run())
    assert [shape_of(picture) for picture in server.asked[1][1]["images"]] == [(36, 64, 3)]


def test_bad_values_give_way_to_the_usual_ones(server: LlmServer) -> None:
    bad = {
        "primary_mood": "hangry",
        "secondary_mood": "??",
        "energy_level": 9000,
        "tempo_suggestion": None,
        "genre_suggestions": "polka",
        "color_palette": "plaid",
        "description": "x" * 900,
        "confidence": 7,
        "extra": [],
    }
    found = read(server, bad)
    assert found.primary_mood == "calm"
    assert found.secondary_mood is None
    assert (found.energy_level, found.tempo_suggestion, found.color_palette) == ("medium", "medium", "neutral")
    assert found.genre_suggestions == ("ambient",)
    assert (len(found.description), found.confidence) == (500, 1)
    assert read(server, {"primary_mood": "SAD ", "confidence": "high"}).confidence == 0.7
    assert read(server, '{"primary_mood": "sad", "confidence": NaN}').confidence == 0.7


@pytest.mark.parametrize("answer", ["I cannot see pictures.", '{"primary_mood": "ca', "{}", '{"sorry": true}', "[]"])
def test_what_is_no_mood_is_a_failure_with_a_cure(server: LlmServer, answer: str) -> None:
    with pytest.raises(errors.RemoteFailed) as caught:
        read(server, answer)
    assert "llm.model" in caught.value.hint


def test_without_pictures_it_refuses_and_asks_nobody(server: LlmServer) -> None:
    with pytest.raises(errors.InvalidParameter, match="there are none"):
        reader(server).read([], None, EngineOptions(), Run())
    assert server.asked == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provider": "none"}, "no LLM is configured"),
        ({"base_url": "http://127.0.0.1:1"}, "does not answer"),
        ({"model": "absent"}, "no model absent"),
    ],
)
def test_auto_falls_back_to_measuring_and_says_why(server: LlmServer, change: dict[str, Any], says: str) -> None:
    ran = fallen_back(reader(server, **{"provider": "ollama", "base_url": server.ollama, **change}))
    assert says in ran.reason
    assert ran.cure


def test_auto_falls_back_where_no_json_comes(server: LlmServer) -> None:
    server.answers = deque(["What lovely pictures!"])
    assert "no JSON" in fallen_back(reader(server)).reason


def fallen_back(engine: VisionLlm) -> Any:
    catalog = Catalog({MOOD_READERS.group: ("vision-llm", "keyframes")})
    catalog.preload(MOOD_READERS, "vision-llm", cast("MoodReader", engine))
    catalog.preload(MOOD_READERS, "keyframes", cast("MoodReader", Keyframes(NoConfig())))
    ran = catalog.run(MOOD_READERS, "auto", lambda one: one.read(pictures(3), None, EngineOptions(), Run()))
    assert ran.engine.name == "keyframes"
    return ran.skipped[0]


def test_its_wish_for_pictures_is_said() -> None:
    assert VisionLlm.capabilities.pictures == (4, 512)
    assert Capabilities().pictures is None
