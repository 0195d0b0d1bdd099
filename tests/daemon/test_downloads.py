"""Models fetched for an editor, from a hub on loopback, told as they come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.test_queue import Told
from tests.servers.hub import HubServer, hub_server

from sottovoce import errors
from sottovoce.daemon.downloads import Downloads
from sottovoce.weights.download import Hub
from sottovoce.weights.manifest import Model, ModelFile
from sottovoce.weights.store import Store

REPOSITORY, REVISION = "someone/Tiny", "a" * 40
FILES = {"one.safetensors": b"1" * 3_000_000, "two.safetensors": b"2" * 500_000}


def model(name: str, **changes: object) -> Model:
    files = tuple(
        ModelFile(name=file, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for file, content in FILES.items()
    )
    made = Model(
        name=name, repository=f"someone/{name}", revision=REVISION, files=files, licence="MIT", quality="none",
        memory_mb=1, advice="for tests",
    )  # fmt: skip
    return made.model_copy(update=changes)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        for name in ("part", "whole"):
            server.upload(f"someone/{name}", REVISION, FILES)
        yield server


def store(hub: HubServer, folder: Path, **changes: object) -> Store:
    models = {"part": model("part"), "whole": model("whole", parts=("part",), **changes)}
    return Store(folder, hub=Hub(hub.url, sleep=lambda _seconds: None), manifest=models)


class DownloadTold(Told):
    """And finds downloads by how they ended."""

    def end(self) -> dict[str, object]:
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self._ended()), 30)
            return self._ended()[0]

    def _ended(self) -> list[dict[str, object]]:
        return [dict(params) for _, params in self.all if params["status"] != "downloading"]


def test_a_download_tells_files_components_and_the_whole(hub: HubServer, tmp_path: Path) -> None:
    told = DownloadTold()
    downloads = Downloads(told)
    downloads.prepare("musicgen", "whole", store(hub, tmp_path), accept_licence=False)()
    ended = told.end()
    assert (ended["status"], ended["component_percent"], ended["overall_percent"]) == ("complete", 100, 100)
    assert {method for method, _ in told.all} == {"download_progress"}
    assert ended["component"] == "whole"
    assert (ended["files_completed"], ended["files_total"]) == (2, 2)
    assert (ended["file_name"], ended["bytes_downloaded"], ended["bytes_total"]) == (
        "two.safetensors", 500_000, 500_000,
    )  # fmt: skip
    overall = [params["overall_percent"] for _, params in told.all]
    assert overall == sorted(overall)
    assert [listed.here for listed in store(hub, tmp_path).models()] == [True, True]


def test_a_download_that_fails_says_why_and_is_remembered(hub: HubServer, tmp_path: Path) -> None:
    told = DownloadTold()
    downloads = Downloads(told)
    hub.repositories.clear()
    downloads.prepare("musicgen", "whole", store(hub, tmp_path), accept_licence=False)()
    ended = told.end()
    assert (ended["status"], ended["code"]) == ("error", "MODEL_DOWNLOAD_FAILED")
    assert downloads.failed["musicgen"].code == "MODEL_DOWNLOAD_FAILED"


def test_a_licence_is_accepted_before_anything_comes(hub: HubServer, tmp_path: Path) -> None:
    told = DownloadTold()
    downloads = Downloads(told)
    closed = store(hub, tmp_path, non_commercial=True)
    with pytest.raises(errors.LicenceNotAccepted, match="has to be accepted"):
        downloads.prepare("musicgen", "whole", closed, accept_licence=False)
    assert not hub.asked
    downloads.prepare("musicgen", "whole", closed, accept_licence=True)()
    assert told.end()["status"] == "complete"
    downloads.prepare("musicgen", "whole", closed, accept_licence=False)
