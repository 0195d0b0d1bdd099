"""The device that the server names is the one that torch would take."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.conftest import Server

from sottovoce.engines.accelerator import resolved_device
from sottovoce.engines.server_kind import kind_of
from sottovoce.server.device import _made_for_cuda, auto_device


@pytest.mark.long
def test_it_is_the_one_that_torch_would_take() -> None:
    pytest.importorskip("torch")
    assert auto_device() == resolved_device("auto")


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("cuda: Optional[str] = '12.8'", True),
        ('cuda = "12.8"', True),
        ("cuda: Optional[str] = None", False),
        ("", False),
    ],
)
def test_torch_says_itself_what_it_was_built_for(tmp_path: Path, line: str, made: bool) -> None:
    path = tmp_path / "version.py"
    path.write_text(f"__version__ = '2.13'\n{line}\nhip: Optional[str] = '6.4'\n")
    assert _made_for_cuda(path) is made


def test_health_has_the_shapes_of_both_servers(server: Server) -> None:
    answer = server.client().get("/health")
    body = answer.json()
    assert (body["status"], body["code"], body["error"]) == ("ok", 200, None)
    assert body["data"]["status"] == "ok"
    assert body["device"] == auto_device()
    assert body["gpu_available"] is body["device"].startswith("cuda")
    assert set(body["models_loaded"]) == {"musicgen", "demucs"}
    envelope, flat = dict(body["data"]), {name: value for name, value in body.items() if name != "data"}
    assert envelope.pop("service") == "sottovoce"
    assert [kind_of(said).kind for said in (body, {"data": envelope}, flat)] == ["Sottovoce", "ACE-Step", "MusicGen"]
