"""The asynchronous client does what the other does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.conftest import Line
from tests.server.conftest import AddTrack, Server, wav

from sottovoce import AsyncClient, Client, Progress, errors

pytestmark = pytest.mark.usefixtures("quick_probe")


def _shape(member: Callable[..., object]) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(member).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


def test_both_have_the_same_methods() -> None:
    for name, member in vars(Client).items():
        if not name.startswith("_"):
            assert _shape(vars(AsyncClient)[name]) == _shape(member), name
    assert {name for name in vars(AsyncClient) if name[0] != "_"} == {name for name in vars(Client) if name[0] != "_"}


def test_a_job_from_its_filing_to_its_end(server: Server, line: Line, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(wav())
    queue = server.studio.queue
    line.cuts.append(0)

    async def use() -> list[str]:
        async with AsyncClient(line.url) as client:
            assert (await client.health())["status"] == "ok"
            sent = await client.upload(tmp_path / "song.wav")
            job = await client.submit("generate", prompt="rain", cover=sent, lane="batch")
            begun = queue.begin(job.id, "w")
            assert begun is not None
            queue.progress(begun, Progress("render", 40.0))
            with pytest.raises(errors.TimedOut):
                await client.wait(job, timeout=0.3)
            queue.finish(begun, {})
            assert (await client.wait(job)).state == "done"
            assert [one.id for one in await client.jobs()] == [job.id]
            with pytest.raises(errors.JobEnded):
                await client.cancel(job)
            again = await client.retry(job)
            await client.cancel(again)
            with pytest.raises(errors.Cancelled):
                await client.wait(again)
            return [event.kind async for event in client.events(job)]

    assert asyncio.run(use()) == ["queued", "running", "progress", "done"]


def test_tracks_are_found_and_fetched(server: Server, line: Line, add_track: AddTrack, tmp_path: Path) -> None:
    made = add_track(server.studio)
    folder, data = server.studio.job_folder(server.job().id), bytes(range(256)) * 4000
    folder.mkdir(parents=True)
    (folder / "out.mp4").write_bytes(data)

    async def use() -> None:
        async with AsyncClient(line.url) as client:
            (track,) = await client.tracks("night")
            assert await client.track(made.id) == track
            assert (await client.recipe(track))["seed"] == 7
            assert [stem.name for stem in await client.stems(track)] == ["bass", "drums"]
            assert "separator" in await client.engines()
            assert (await client.download(track, to=tmp_path / "a.flac")).read_bytes() == made.audio.read_bytes()
            with pytest.raises(errors.StemNotFound):
                await client.download(f"/api/tracks/{track.id}/stems/piano", to=tmp_path / "b.flac")
            (file,) = await client.files(folder.name)
        line.cuts.extend([300_000, 300_000, 0])
        async with AsyncClient(line.url) as client:
            await client.download(file, to=tmp_path / "out.mp4")

    asyncio.run(use())
    assert (tmp_path / "out.mp4").read_bytes() == data


def test_a_server_that_is_not_there() -> None:
    async def use() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            await client.jobs()

    with pytest.raises(errors.RemoteFailed, match="no server answers"):
        asyncio.run(use())
