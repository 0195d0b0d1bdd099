"""Model files: what comes is what was pinned, and nothing else is ever used."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.servers.hub import HubServer, hub_server

from sottovoce import errors
from sottovoce.progress import Progress
from sottovoce.weights.download import Hub
from sottovoce.weights.manifest import Model, ModelFile, builtin
from sottovoce.weights.store import Store

REPOSITORY, FIRST, SECOND = "someone/Tiny", "a" * 40, "b" * 40
A = np.random.default_rng(1).bytes(3_000_001)
B = np.random.default_rng(2).bytes(500_000)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny(*, known: bool = True, **changes: object) -> Model:
    """A model of two files; where not `known`, without revision, sizes and hashes."""
    files = [
        ModelFile(
            name=f"{name}.safetensors", bytes=len(content) if known else None, sha256=sha(content) if known else None
        )
        for name, content in (("one", A), ("two", B))
    ]
    made = Model(
        name="tiny", repository=REPOSITORY, revision=FIRST if known else None, files=tuple(files), licence="MIT",
        quality="none", memory_mb=1, advice="for tests",
    )  # fmt: skip
    return made.model_copy(update=changes)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        server.publish(REPOSITORY, FIRST, one=A, two=B)
        yield server


class Waits(list[float]):
    """A clock that only notes how long it was asked to sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def store(folder: Path, hub: HubServer, model: Model | None = None, **options: object) -> Store:
    models = {"tiny": model or tiny()}
    return Store(folder, hub=Hub(hub.url, sleep=Waits()), manifest=models, **options)  # type: ignore[arg-type]


def contents(paths: tuple[Path, ...]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_a_pull_brings_every_file_and_reports_each_and_all(tmp_path: Path, hub: HubServer) -> None:
    seen: list[Progress] = []
    assert contents(store(tmp_path, hub).pull("tiny", seen.append)) == [A, B]
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {(progress.step, progress.total) for progress in seen} >= {(1, 2), (2, 2)}
    assert any("one.safetensors 100%" in progress.stage for progress in seen)
    assert not list(tmp_path.rglob("*.part"))


def test_a_second_pull_fetches_nothing(tmp_path: Path, hub: HubServer) -> None:
    store(tmp_path, hub).pull("tiny")
    asked = len(hub.asked)
    again = store(tmp_path, hub)
    assert contents(again.pull("tiny")) == contents(again.located("tiny")) == [A, B]
    assert len(hub.asked) == asked


def test_only_the_files_asked_for_come(tmp_path: Path, hub: HubServer) -> None:
    paths = store(tmp_path, hub, pull_policy="auto").located("tiny", only=["two.safetensors"])
    assert contents(paths) == [B]
    assert not hub.fetches("one.safetensors")


def test_a_cut_download_goes_on_from_its_byte(tmp_path: Path, hub: HubServer) -> None:
    hub.break_off(["cut", "cut"])
    assert contents(store(tmp_path, hub).pull("tiny")) == [A, B]
    first, second, third = hub.fetches("one.safetensors")
    assert "range" not in first
    assert second["range"] == f"bytes={len(A) // 2}-"
    assert third["range"].startswith("bytes=")
    assert third["if-range"].strip('"')


def test_a_killed_pull_is_taken_up_by_the_next(tmp_path: Path, hub: HubServer) -> None:
    def stop(progress: Progress) -> None:
        if progress.percent > 40:
            raise errors.Cancelled("stop")

    with pytest.raises(errors.Cancelled):
        store(tmp_path, hub).pull("tiny", stop)
    with pytest.raises(errors.ModelNotFound):
        store(tmp_path, hub).located("tiny")
    part = next(tmp_path.rglob("*.part")).stat().st_size
    assert 0 < part < len(A)
    assert contents(store(tmp_path, hub).pull("tiny")) == [A, B]
    assert hub.fetches("one.safetensors")[-1]["range"] == f"bytes={part}-"


@pytest.mark.parametrize("fault", ["ignore-range", "wrong-range", "busy"])
def test_a_server_that_does_not_resume_properly_gives_the_right_file_all_the_same(
    tmp_path: Path, hub: HubServer, fault: str
) -> None:
    hub.break_off(["cut", fault])
    assert contents(store(tmp_path, hub).pull("tiny")) == [A, B]


def test_a_server_that_stays_busy_is_given_up_with_what_is_here(tmp_path: Path, hub: HubServer) -> None:
    hub.break_off(["cut"] + ["busy"] * 6)
    waits = Waits()
    slow = Store(tmp_path, hub=Hub(hub.url, sleep=waits), manifest={"tiny": tiny()})
    with pytest.raises(errors.ModelDownloadFailed, match=r"503.*1\.5 MB of it are here"):
        slow.pull("tiny")
    assert sorted(waits) == waits
    assert contents(slow.pull("tiny")) == [A, B]


@pytest.mark.long
@pytest.mark.parametrize("fault", ["flip", "short", "long"])
@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_file_is_refused_and_leaves_nothing(tmp_path: Path, hub: HubServer, fault: str, known: bool) -> None:
    hub.break_off([fault])
    place = store(tmp_path, hub, tiny(known=known))
    with pytest.raises(errors.ModelDownloadFailed, match=r"one\.safetensors"):
        place.pull("tiny")
    assert not list(tmp_path.rglob("one.safetensors*"))
    assert contents(place.pull("tiny")) == [A, B]


def test_a_byte_flipped_on_disk_is_refused_seen_and_mended(tmp_path: Path, hub: HubServer) -> None:
    path = store(tmp_path, hub).pull("tiny")[1]
    state = path.stat()
    path.write_bytes(bytes([B[0] ^ 1]) + B[1:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(errors.ModelLoadFailed, match="damaged") as refused:
        store(tmp_path, hub, pull_policy="auto").located("tiny")
    assert "sotto models pull tiny" in refused.value.hint
    assert [checked.state for checked in store(tmp_path, hub).verify("tiny")] == ["fine", "damaged"]
    assert contents(store(tmp_path, hub).pull("tiny")) == [A, B]
    assert len(hub.fetches("one.safetensors")) == 1


def test_unknown_hashes_are_recorded_at_the_first_pull_and_hold(tmp_path: Path, hub: HubServer) -> None:
    place = store(tmp_path, hub, tiny(known=False))
    path = place.pull("tiny")[0]
    found = place.model("tiny")
    assert found.revision == FIRST
    assert [(file.bytes, file.sha256) for file in found.files] == [(len(A), sha(A)), (len(B), sha(B))]
    path.write_bytes(bytes([A[0] ^ 1]) + A[1:])
    with pytest.raises(errors.ModelLoadFailed):
        store(tmp_path, hub, tiny(known=False)).located("tiny")


def test_a_repository_that_moved_on_does_not_change_what_is_pinned(tmp_path: Path, hub: HubServer) -> None:
    hub.break_off(["cut"] + ["busy"] * 6)
    with pytest.raises(errors.ModelDownloadFailed):
        store(tmp_path, hub, tiny(known=False)).pull("tiny")
    hub.publish(REPOSITORY, SECOND, one=B, two=A)
    assert contents(store(tmp_path, hub, tiny(known=False)).pull("tiny")) == [A, B]


def test_a_revision_that_vanished_is_noticed(tmp_path: Path, hub: HubServer) -> None:
    hub.repositories[REPOSITORY] = {SECOND: hub.repositories[REPOSITORY][FIRST]}
    with pytest.raises(errors.ModelDownloadFailed, match=r"no one\.safetensors at revision a"):
        store(tmp_path, hub).pull("tiny")


def test_an_answer_of_another_revision_is_refused(tmp_path: Path, hub: HubServer) -> None:
    hub.commit = SECOND
    with pytest.raises(errors.ModelDownloadFailed, match=f"revision {SECOND}"):
        store(tmp_path, hub).pull("tiny")


def test_a_removed_model_must_come_back_the_same(tmp_path: Path, hub: HubServer) -> None:
    place = store(tmp_path, hub, tiny(known=False))
    place.pull("tiny")
    assert place.remove("tiny") == len(A) + len(B)
    assert not list(tmp_path.rglob("*.safetensors"))
    hub.repositories[REPOSITORY][FIRST]["one.safetensors"] = B
    hub.tells_sha = False
    with pytest.raises(errors.ModelDownloadFailed, match="pinned"):
        place.pull("tiny")


def test_a_missing_model_names_the_command(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(errors.ModelNotFound) as missing:
        store(tmp_path, hub).located("tiny")
    assert missing.value.hint == "sotto models pull tiny"
    assert not hub.asked


def test_pull_policies(tmp_path: Path, hub: HubServer) -> None:
    asked: list[str] = []

    def refuse(model: Model, files: tuple[ModelFile, ...]) -> bool:
        asked.append(f"{model.name} {len(files)}")
        return False

    with pytest.raises(errors.ModelNotFound):
        store(tmp_path, hub, consent=refuse).located("tiny")
    with pytest.raises(errors.ModelNotFound):
        store(tmp_path, hub, consent=refuse, pull_policy="never").located("tiny")
    assert asked == ["tiny 2"]
    assert contents(store(tmp_path, hub, consent=lambda model, files: True).located("tiny")) == [A, B]


def test_offline_fetches_nothing_and_uses_what_is_here(tmp_path: Path, hub: HubServer) -> None:
    offline = store(tmp_path, hub, offline=True, pull_policy="auto")
    with pytest.raises(errors.ModelNotFound, match="offline"):
        offline.located("tiny")
    with pytest.raises(errors.ModelDownloadFailed, match="offline"):
        offline.pull("tiny")
    assert not hub.asked
    store(tmp_path, hub).pull("tiny")
    assert contents(offline.located("tiny")) == [A, B]
    assert contents(offline.pull("tiny")) == [A, B]


def cached(cache: Path, revision: str, content: dict[str, bytes], *, linked: bool = True) -> None:
    """A cache as Hugging Face's own tools leave it: blobs by hash, links to them by revision and name."""
    repository = cache / "models--someone--Tiny"
    snapshot = repository / "snapshots" / revision
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    for name, data in content.items():
        blob = repository / "blobs" / sha(data)
        blob.write_bytes(data)
        if linked:
            (snapshot / f"{name}.safetensors").symlink_to(blob)
        else:
            blob.replace(snapshot / f"{name}.safetensors")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("linked", [True, False])
def test_files_in_a_cache_are_used_after_hashing(tmp_path: Path, hub: HubServer, known: bool, linked: bool) -> None:
    cached(tmp_path / "hub", SECOND, {"one": A, "two": B}, linked=linked)
    place = store(tmp_path / "ours", hub, tiny(known=known), caches=(tmp_path / "hub",))
    assert contents(place.located("tiny")) == [A, B]
    assert place.model("tiny").files[0].sha256 == sha(A)
    assert place.models()[0].here
    assert not hub.asked
    assert place.remove("tiny") == 0
    assert contents(place.located("tiny")) == [A, B]


@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_file_in_a_cache_is_not_used(tmp_path: Path, hub: HubServer, known: bool) -> None:
    cached(tmp_path / "hub", FIRST, {"one": A, "two": B})
    (tmp_path / "hub" / "models--someone--Tiny" / "blobs" / sha(A)).write_bytes(bytes([A[0] ^ 1]) + A[1:])
    place = store(tmp_path / "ours", hub, tiny(known=known), caches=(tmp_path / "hub",))
    with pytest.raises(errors.ModelNotFound, match=r"the copy in .* is another file"):
        place.located("tiny")
    assert contents(place.pull("tiny")) == [A, B]
    assert not hub.fetches("two.safetensors")


def test_a_full_disk_is_said_before_anything_comes(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's own
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(1, 1, 65 << 20))
    with pytest.raises(errors.DiskFull, match="4 MB are to be fetched"):
        store(tmp_path, hub).pull("tiny")
    assert not hub.asked
    with pytest.raises(errors.DiskFull):
        store(tmp_path, hub, tiny(known=False)).pull("tiny")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_two_pulls_at_once_fetch_once(tmp_path: Path, hub: HubServer) -> None:
    stores = [Store(tmp_path, hub=Hub(hub.url), manifest={"tiny": tiny()}) for _ in range(3)]
    results: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda one=one: results.append(contents(one.pull("tiny")))) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[A, B]] * 3
    assert len(hub.fetches("one.safetensors")) == 1


def test_a_hub_that_is_not_there_is_no_reason_to_ask_another(tmp_path: Path, hub: HubServer) -> None:
    dead = Store(tmp_path, hub=Hub("http://127.0.0.1:9", sleep=Waits()), manifest={"tiny": tiny(known=False)})
    with pytest.raises(errors.ModelDownloadFailed, match=r"127\.0\.0\.1:9"):
        dead.pull("tiny")
    assert not hub.asked


def test_an_unknown_model_lists_those_there_are(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(errors.InvalidParameter, match="there are tiny"):
        store(tmp_path, hub).located("huge")
    with pytest.raises(errors.InvalidParameter, match=r"no file x\.th"):
        store(tmp_path, hub).located("tiny", only=["x.th"])


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.OutputNotWritable, match="cannot be written"):
        store(tmp_path / "file" / "models", hub).pull("tiny")


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", ".hidden", "a//b"])
def test_a_manifest_cannot_name_a_place_outside(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        ModelFile(name=name)


def test_the_manifest_that_ships_is_complete_where_it_claims_to_be() -> None:
    for model in builtin().values():
        hashes = {file.sha256 is not None and file.bytes is not None for file in model.files}
        assert hashes == ({model.revision is not None} if model.files else set()), model.name
        assert model.files or model.include
        assert model.advice
        assert bool(model.stems) == (model.use == "separate")
        assert set(model.parts) <= set(builtin())
    assert {"htdemucs", "htdemucs_ft", "htdemucs_6s", "hdemucs_mmi", "mdx_extra"} <= set(builtin())
    assert len(builtin()["htdemucs_ft"].files) == 4
    groups = {model.group: model.name for model in builtin().values() if model.group}
    assert groups == {"ace-step": "acestep-v15-turbo", "musicgen": "musicgen-small"}
    restricted = {name for name, model in builtin().items() if model.non_commercial}
    assert restricted == {name for name in builtin() if name.startswith("musicgen")}


FOLDERS = {
    "parts/model_index.json": b"{}",
    "parts/net/config.json": b'{"layers": 2}',
    "parts/net/a.safetensors": A,
    "parts/net/b.safetensors": B,
    "parts/words/vocab.txt": b"la la",
    "other/huge.safetensors": A,
    "parts/code.py": b"import os",
    ".gitattributes": b"lfs",
}
WANTED = {name for name in FOLDERS if name.startswith("parts/") and not name.endswith(".py")}


def folders(**changes: object) -> Model:
    """A model whose files are named by patterns only, in a folder of its repository."""
    made = tiny(known=False).model_copy(update={"files": ()})
    patterns = {"include": ("parts/*.json", "parts/net/*.safetensors"), "optional": ("parts/*.txt",), "folder": "parts"}
    return made.model_copy(update={**patterns, "group": "small", **changes})


@pytest.fixture
def spread(hub: HubServer) -> HubServer:
    hub.upload(REPOSITORY, FIRST, dict(FOLDERS))
    return hub


def test_a_model_of_folders_comes_as_the_hub_lists_it(tmp_path: Path, spread: HubServer) -> None:
    place = store(tmp_path, spread, folders())
    assert not place.models()[0].here
    seen: list[Progress] = []
    assert len(place.pull("small", seen.append)) == len(WANTED)
    assert [progress.percent for progress in seen] == sorted(progress.percent for progress in seen)
    first = next(progress.percent for progress in seen if "a.safetensors 100%" in progress.stage)
    assert abs(first - 100 * len(A) / (len(A) + len(B))) < 1, "by size, not by number"
    found = place.snapshot("tiny")
    assert found.folder.name == "parts"
    there = {f"parts/{path.relative_to(found.folder).as_posix()}" for path in found.folder.rglob("*") if path.is_file()}
    assert there == WANTED
    assert place.models()[0].here
    assert all(file.sha256 == sha(FOLDERS[file.name]) for file in found.model.files)
    assert [checked.state for checked in place.verify("tiny")] == ["fine"] * len(WANTED)


def test_the_files_of_a_listing_are_pinned_before_they_come(tmp_path: Path, spread: HubServer) -> None:
    spread.break_off(["cut"] + ["busy"] * 6)
    with pytest.raises(errors.ModelDownloadFailed):
        store(tmp_path, spread, folders()).pull("tiny")
    spread.upload(REPOSITORY, SECOND, {name: content[::-1] for name, content in FOLDERS.items()})
    place = store(tmp_path, spread, folders())
    place.pull("tiny")
    assert (place.snapshot("tiny").folder / "net" / "a.safetensors").read_bytes() == A


def test_a_repository_that_lacks_what_belongs_to_a_model_is_refused(tmp_path: Path, spread: HubServer) -> None:
    with pytest.raises(errors.ModelDownloadFailed, match=r"has not all.*parts/net/\*\.bin"):
        store(tmp_path, spread, folders(include=("parts/net/*.bin",))).pull("tiny")


def test_two_models_of_one_repository_keep_to_their_own_files(tmp_path: Path, spread: HubServer) -> None:
    other = folders(name="other", include=("other/*.safetensors",), optional=(), folder="other", group=None)
    place = Store(tmp_path, hub=Hub(spread.url, sleep=Waits()), manifest={"tiny": folders(), "other": other})
    place.pull("other")
    assert not place.models()[0].here
    place.pull("tiny")
    assert {file.name for file in place.model("tiny").files} == WANTED
    assert place.remove("tiny") > 0
    assert place.models()[1].here


def test_a_model_of_folders_spread_over_caches_is_linked_into_one(tmp_path: Path, spread: HubServer) -> None:
    snapshot = tmp_path / "hub" / "models--someone--Tiny" / "snapshots" / FIRST
    for name in WANTED:
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(FOLDERS[name])
    refs = tmp_path / "hub" / "models--someone--Tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text(FIRST)
    whole = store(tmp_path / "ours", spread, folders(), caches=(tmp_path / "hub",), offline=True)
    assert whole.snapshot("tiny").folder == snapshot / "parts"
    (snapshot / "parts/net/b.safetensors").unlink()
    place = store(tmp_path / "ours", spread, folders(), caches=(tmp_path / "hub",), pull_policy="auto")
    found = place.snapshot("tiny")
    assert found.folder.is_relative_to(tmp_path / "ours")
    assert (found.folder / "net" / "a.safetensors").read_bytes() == A
    assert len(spread.fetches("a.safetensors")) == 0
    place.remove("tiny")
    assert (snapshot / "parts/net/a.safetensors").exists()


def test_a_licence_that_forbids_something_needs_a_yes_once(tmp_path: Path, hub: HubServer) -> None:
    model = tiny(non_commercial=True, licence="CC-BY-NC-4.0")
    place = store(tmp_path, hub, model, pull_policy="auto")
    for call in (place.pull, place.located):
        with pytest.raises(errors.LicenceNotAccepted, match=r"CC-BY-NC-4\.0") as refused:
            call("tiny")
        assert "--accept-licence" in refused.value.hint
    assert not hub.asked
    assert contents(place.pull("tiny", accept_licence=True)) == [A, B]
    place.remove("tiny")
    assert contents(place.located("tiny")) == [A, B], "the yes holds"
    changed = store(tmp_path, hub, tiny(non_commercial=True, licence="another"), pull_policy="auto")
    changed.remove("tiny")
    with pytest.raises(errors.LicenceNotAccepted):
        changed.located("tiny")


def test_a_yes_when_asked_is_a_yes_to_the_licence(tmp_path: Path, hub: HubServer) -> None:
    asked: list[str] = []

    def agree(model: Model, files: tuple[ModelFile, ...]) -> bool:
        asked.append(model.licence)
        return True

    model = tiny(non_commercial=True, licence="CC-BY-NC-4.0")
    assert contents(store(tmp_path, hub, model, consent=agree).located("tiny")) == [A, B]
    assert asked == ["CC-BY-NC-4.0"]


PULL = """
import sys
from pathlib import Path
from sottovoce.weights.download import Hub
from sottovoce.weights.manifest import Model
from sottovoce.weights.store import Store

folder, url, model = sys.argv[1:]
Store(Path(folder), hub=Hub(url), manifest={"tiny": Model.model_validate_json(model)}).pull("tiny")
"""


def test_a_pull_that_was_killed_goes_on_from_its_last_byte_and_is_verified(tmp_path: Path, hub: HubServer) -> None:
    hub.break_off(["hang"])
    child = subprocess.Popen([sys.executable, "-c", PULL, str(tmp_path), hub.url, tiny().model_dump_json()])
    try:
        while sum(part.stat().st_size for part in tmp_path.rglob("*.part")) < len(A) // 2:
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    here = store(tmp_path, hub)
    assert not here.models()[0].here
    assert contents(here.pull("tiny")) == [A, B]
    assert hub.fetches("one.safetensors")[-1]["range"] == f"bytes={len(A) // 2}-"
    assert {checked.state for checked in here.verify("tiny")} == {"fine"}
    assert not list(tmp_path.rglob("*.part"))
