"""What the settings of neural music and of language models change; `test_settings_act` runs these."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.servers.ace_step import ace_step_server
from tests.servers.llm import LlmServer, llm_server

from sottovoce import errors
from sottovoce.engines.ace_step.options import AceStepConfig, AceStepOptions
from sottovoce.engines.ace_step.request import asked_of
from sottovoce.engines.ace_step_api import AceStepApi
from sottovoce.engines.base import Enhanced, Run
from sottovoce.engines.catalog import ENHANCERS, GENERATORS
from sottovoce.prompt import Prompt
from sottovoce.tasks.generate import Generate

if TYPE_CHECKING:
    from tests.test_settings_act import Bench


def _reason(bench: Bench, engine: str, **settings: Any) -> str:
    """Why a generator cannot run under these settings; empty if it can."""
    with bench.studio(**settings) as studio:
        missing = studio.engines.get(GENERATORS, engine).unavailable()
        return missing.reason if missing else ""


def _versions(bench: Bench, engine: str, **settings: Any) -> int:
    with bench.studio(**settings) as studio:
        return studio.request(Generate, {"prompt": "x", "engine": engine}).versions


def ace_step_enabled(bench: Bench) -> None:
    assert "switched off" in _reason(bench, "ace-step", ace_step__enabled=False)
    assert "switched off" in _reason(bench, "ace-step-api", ace_step__enabled=False)


def ace_step_mode(bench: Bench) -> None:
    assert "mode is api" in _reason(bench, "ace-step", ace_step__mode="api")
    assert "mode is lib" in _reason(bench, "ace-step-api", ace_step__mode="lib")


def ace_step_url(bench: Bench) -> None:
    assert "configured" in _reason(bench, "ace-step-api")
    with ace_step_server() as server:
        assert _reason(bench, "ace-step-api", ace_step__api_url=server.url) == ""


def ace_step_timeout(bench: Bench) -> None:
    with bench.studio(ace_step__timeout_seconds=77) as studio:
        config = AceStepApi.Config.model_validate(studio.engines.configs["ace_step"])
        assert config.timeout_seconds == 77


def _ace_step(bench: Bench, **settings: Any) -> AceStepConfig:
    with bench.studio(**settings) as studio:
        return AceStepConfig.model_validate(studio.engines.configs["ace_step"])


def ace_step_variant(bench: Bench) -> None:
    for variant in ("turbo", "base"):
        config = _ace_step(bench, ace_step__model_variant=variant)
        assert asked_of(Prompt("x", 10, 1), (1,), config, AceStepOptions()).preset.name.endswith(variant)


def ace_step_bf16(bench: Bench) -> None:
    assert not _ace_step(bench, ace_step__bf16=False).bf16


def ace_step_lora(bench: Bench) -> None:
    adapter = bench.folder / "warm.safetensors"
    adapter.write_bytes(b"x")
    asked = asked_of(Prompt("x", 10, 1), (1,), _ace_step(bench, ace_step__lora=f"{adapter}:0.5"), AceStepOptions())
    assert asked.lora is not None
    assert asked.lora.scale == 0.5


def ace_step_versions(bench: Bench) -> None:
    assert _versions(bench, "ace-step", ace_step__num_versions=3) == 3
    assert _versions(bench, "composer", ace_step__num_versions=3) == 1


def _writer(bench: Bench, **settings: Any) -> str:
    with bench.studio(**settings) as studio:
        missing = studio.engines.get(ENHANCERS, "ace-step").unavailable()
        assert missing is not None
        return missing.reason


def ace_step_lm(bench: Bench) -> None:
    assert "switched off" in _writer(bench)
    assert "switched off" not in _writer(bench, ace_step__use_lm=True)


def ace_step_lm_size(bench: Bench) -> None:
    assert "4b" in _writer(bench, ace_step__use_lm=True, ace_step__lm_model_size="4B").lower()


def _key(bench: Bench, name: str, section: str) -> None:
    file = bench.folder / "key"
    file.write_text("s3cret\n")
    for settings in ({f"{section}__api_key": "s3cret"}, {f"{section}__api_key_file": str(file)}):
        with bench.studio(**settings) as studio:
            assert studio.settings.credentials({})[name] == "s3cret"


def ace_step_key(bench: Bench) -> None:
    _key(bench, "ace-step", "ace_step")


def musicgen_mode(bench: Bench) -> None:
    assert "mode is api" in _reason(bench, "musicgen", musicgen__mode="api")


def musicgen_model(bench: Bench) -> None:
    with bench.studio(musicgen__model="large") as studio, pytest.raises(errors.SottovoceError) as refused:
        studio.run(studio.request(Generate, {"prompt": "x", "duration": 5, "engine": "musicgen"}))
    assert "musicgen-large" in refused.value.message or isinstance(refused.value, errors.BackendNotInstalled)


def musicgen_versions(bench: Bench) -> None:
    assert _versions(bench, "musicgen", musicgen__num_versions=2) == 2


def enhancers(bench: Bench) -> None:
    with llm_server() as server:
        server.answers = deque(['{"caption": "slow strings"}'])
        fields = {"prompt": "strings", "duration": 5, "enhance": True}
        settings = {"llm__provider": "ollama", "llm__base_url": server.ollama}
        for order, word in ((["llm"], "by llm"), (["expander"], "by expander")):
            with bench.studio(engines__enhancers=order, **settings) as studio:
                report = studio.run(studio.request(Generate, fields)).report
                assert word in " ".join(report["notes"])


def _enhanced(bench: Bench, server: LlmServer, **settings: Any) -> Enhanced:
    defaults = {"llm__provider": "openai-compatible", "llm__base_url": server.openai}
    with bench.studio(**(defaults | settings)) as studio:
        engine = studio.engines.get(ENHANCERS, "llm")
        run = Run(credentials=studio.settings.credentials({}))
        return engine.enhance(Prompt("strings", 10, 1), engine.Options(), run)


def llm_provider(bench: Bench) -> None:
    with llm_server() as server:
        server.answers = deque([json.dumps({"caption": "slow strings"})])
        assert _enhanced(bench, server).words
        assert server.asked[-1][0].endswith("/chat/completions")
        assert _enhanced(bench, server, llm__provider="ollama", llm__base_url=server.ollama).words
        assert server.asked[-1][0].endswith("/api/generate")


def llm_url(bench: Bench) -> None:
    with llm_server() as server, llm_server() as other:
        server.answers = other.answers = deque([json.dumps({"caption": "slow strings"})])
        _enhanced(bench, server, llm__base_url=other.openai)
        assert other.asked
        assert not server.asked


def llm_model(bench: Bench) -> None:
    with llm_server() as server:
        server.answers = deque([json.dumps({"caption": "slow strings"})])
        _enhanced(bench, server, llm__model="tiny")
        assert server.asked[-1][1]["model"] == "tiny"


def llm_timeout(bench: Bench) -> None:
    with llm_server() as server:
        server.open.clear()
        with pytest.raises(errors.TimedOut, match="1 s"):
            _enhanced(bench, server, llm__timeout_seconds=1)


def llm_key(bench: Bench) -> None:
    _key(bench, "llm", "llm")
    with llm_server() as server:
        server.key, server.answers = "s3cret", deque([json.dumps({"caption": "slow strings"})])
        assert _enhanced(bench, server, llm__api_key="s3cret").words


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "ace_step.enabled": ace_step_enabled,
    "ace_step.mode": ace_step_mode,
    "ace_step.api_url": ace_step_url,
    "ace_step.timeout_seconds": ace_step_timeout,
    "ace_step.model_variant": ace_step_variant,
    "ace_step.bf16": ace_step_bf16,
    "ace_step.num_versions": ace_step_versions,
    "ace_step.use_lm": ace_step_lm,
    "ace_step.lm_model_size": ace_step_lm_size,
    "ace_step.lora": ace_step_lora,
    "ace_step.api_key": ace_step_key,
    "ace_step.api_key_file": ace_step_key,
    "musicgen.mode": musicgen_mode,
    "musicgen.model": musicgen_model,
    "musicgen.num_versions": musicgen_versions,
    "engines.enhancers": enhancers,
    "llm.provider": llm_provider,
    "llm.base_url": llm_url,
    "llm.model": llm_model,
    "llm.timeout_seconds": llm_timeout,
    "llm.api_key": llm_key,
    "llm.api_key_file": llm_key,
}
