"""`sotto models` against a hub on loopback."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from tests.servers.hub import HubServer, hub_server

from sottovoce import cli
from sottovoce.cli import options
from sottovoce.cli.render import Bar
from sottovoce.progress import ignore
from sottovoce.weights.manifest import Model, ModelFile, builtin

WEIGHTS = b"weights" * 10_000


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with one model, which is the last in the listing."""
    file = ModelFile(name="one.safetensors", bytes=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    facts: Mapping[str, Any] = {"licence": "MIT", "quality": "none", "memory_mb": 1500, "advice": "for tests"}
    model = Model(name="tiny", repository="someone/Tiny", revision="a" * 40, files=(file,), **facts)
    monkeypatch.setitem(cast("dict[str, Model]", builtin()), "tiny", model)
    with hub_server() as server:
        server.publish("someone/Tiny", "a" * 40, one=WEIGHTS)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("SOTTO_MODELS__DIRECTORY", str(tmp_path / "models"))
        yield server


def sotto(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = cli.run([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_list_pull_verify_remove(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, listed = sotto(capsys, "models", "list")
    assert (code, listed["models"][-1]["here"], listed["bytes_on_disk"]) == (0, False, 0)
    assert {"stems", "quality", "memory_mb", "bytes", "licence", "advice"} <= set(listed["models"][-1])
    code, pulled = sotto(capsys, "models", "pull", "tiny")
    path = Path(pulled["pulled"]["tiny"][0])
    assert path.read_bytes() == WEIGHTS
    code, listed = sotto(capsys, "models", "list")
    assert (listed["models"][-1]["here"], listed["bytes_on_disk"]) == (True, len(WEIGHTS))
    assert sotto(capsys, "models", "verify")[1]["fine"]
    path.write_bytes(WEIGHTS[::-1])
    code, verified = sotto(capsys, "models", "verify", "tiny")
    assert (code, verified["models"]["tiny"][0]["state"]) == (1, "damaged")
    assert sotto(capsys, "models", "rm", "tiny") == (0, {"freed": {"tiny": len(WEIGHTS)}})
    assert not path.exists()


def test_a_licence_is_accepted_by_saying_so(
    hub: HubServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = cast("dict[str, Model]", builtin())
    changed = models["tiny"].model_copy(update={"non_commercial": True, "licence": "CC-BY-NC-4.0", "group": "tinies"})
    monkeypatch.setitem(models, "tiny", changed)
    code, answer = sotto(capsys, "models", "pull", "tinies")
    assert (code, answer["error"]["code"]) == (1, "LICENCE_NOT_ACCEPTED")
    assert "CC-BY-NC-4.0" in answer["error"]["message"]
    assert "sotto models pull tiny --accept-licence" in answer["error"]["hint"]
    code, pulled = sotto(capsys, "models", "pull", "tinies", "--accept-licence")
    assert (code, list(pulled["pulled"])) == (0, ["tiny"])


def test_the_listing_as_text_has_advice_and_the_total(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert "for tests" in text
    assert "1.5 GB" in text
    assert "--engine lalalai" in text
    assert "0 MB in " in text


def test_an_unknown_model_changes_nothing(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pull", "rm", "verify"):
        code, answer = sotto(capsys, "models", command, "huge")
        assert (code, answer["error"]["code"]) == (2, "INVALID_PARAMETER")
    assert not hub.asked


def test_offline_by_the_hubs_own_variable(
    hub: HubServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, answer = sotto(capsys, "models", "pull", "tiny")
    assert (code, answer["error"]["code"]) == (1, "MODEL_DOWNLOAD_FAILED")
    assert not hub.asked


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_consent_is_asked_at_a_terminal(
    typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.progress import Progress

    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ask = options.consent(Bar(Progress(disable=True)))
    assert ask is not None
    file = ModelFile(name="one.safetensors", bytes=84_000_000)
    model = Model(
        name="tiny", repository="someone/Tiny", files=(file,), licence="MIT", quality="", memory_mb=1, advice=""
    )
    assert ask(model, (file,)) is agreed
    assert "84 MB; MIT; from https://huggingface.co/someone/Tiny" in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked() -> None:
    assert options.consent(ignore) is None
