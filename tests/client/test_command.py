"""`sotto --server URL ...`: what a command does here is done there, and looks the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import Line
from tests.server.conftest import AddTrack, Server, until, wav
from tests.servers.loopback import Loopback, serving

from sottovoce import Client, Progress, cli, errors
from sottovoce.jobs.job import Job

pytestmark = pytest.mark.usefixtures("quick_probe")

SECONDS = 900


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a working folder with a song in it."""
    for name in [name for name in os.environ if name.startswith("SOTTO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "mine"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "song.wav").write_bytes(wav())
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@contextmanager
def worked(server: Server, make: Callable[[Job, Path], dict[str, Any]]) -> Iterator[None]:
    """Someone who does the next job: `make` gives its result, and may leave files in its folder."""
    queue = server.studio.queue

    def work() -> None:
        until(lambda: queue.list(state="queued"), SECONDS)
        begun = queue.begin(queue.list(state="queued")[0].id, "w")
        assert begun is not None
        folder = server.studio.job_folder(begun.id)
        folder.mkdir(parents=True)
        queue.progress(begun, Progress("render", 40.0))
        queue.finish(begun, {"report": {}, "tracks": [], "stems": {}, "files": {}} | make(begun, folder))

    worker = threading.Thread(target=work)
    worker.start()
    yield
    worker.join()


def run(server: Server | Line, *words: str) -> int:
    return cli.run(["--server", server.url, *words])


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_music_is_made_there_and_fetched(
    server: Server, add_track: AddTrack, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    made = add_track(server.studio, "Night rain")
    result = {"tracks": [made.id], "report": {"notes": ["a remark"]}}
    words = (
        "generate",
        "rain",
        "--duration",
        "30",
        "--key",
        "A minor",
        "--cover",
        "song.wav",
        "-o",
        "night.wav",
        "--midi",
        "--stems",
    )
    with worked(server, lambda job, folder: result):
        assert run(server, *words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["a remark", f"{made.id}  Night rain"]
    names = ["night.wav", "night.sotto.json", "night.mid", "night_stems.zip"]
    assert printed[3:] == names
    assert {path.name for path in home.iterdir()} == {"song.wav", *names}
    assert (home / "night.wav").read_bytes()[:4] == b"RIFF"
    assert json.loads((home / "night.sotto.json").read_text())["seed"] == 7
    job = server.studio.queue.list()[0]
    assert (job.request["prompt"], job.request["duration"], job.request["key"]) == ("rain", 30, "A minor")
    assert server.studio.uploads.get(job.request["cover"]["upload"]).name == "song.wav"


def test_json_has_the_same_shape_as_here(
    server: Server, add_track: AddTrack, capsys: pytest.CaptureFixture[str]
) -> None:
    made = add_track(server.studio)
    with worked(server, lambda job, folder: {"tracks": [made.id, made.id], "report": {"notes": []}}):
        assert run(server, "generate", "rain", "--versions", "2", "-o", "night.flac", "--json") == 0
    told = shown(capsys)
    assert set(told) == {"tracks", "files", "notes"}
    assert told["files"] == ["night-1.flac", "night-1.sotto.json", "night-2.flac", "night-2.sotto.json"]
    assert set(told["tracks"][0]) == {*made.as_dict(), "recipe"}
    assert told["tracks"][0]["recipe"]["seed"] == 7
    assert told["tracks"][0]["audio"] == f"{server.url}/api/tracks/{made.id}/audio"


def test_a_song_is_sent_and_its_stems_come_back(server: Server, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    def make(job: Job, folder: Path) -> dict[str, Any]:
        (folder / "vocals.flac").write_bytes(b"voice")
        report = {"seconds": 1.0, "engine": "tone", "took": 0.5, "notes": ["a remark"]}
        return {"report": report, "stems": {"vocals": "vocals.flac"}}

    with worked(server, make):
        assert run(server, "separate", "song.wav", "--only", "vocals", "--no-cache") == 0
    assert (home / "song_stems" / "vocals.flac").read_bytes() == b"voice"
    printed = capsys.readouterr().out
    assert "0:01 split by tone in 0.5 s" in printed
    assert "a remark" in printed
    job = server.studio.queue.list()[0]
    assert (job.request["only"], job.request["cache"]) == (["vocals"], False)
    with worked(server, make):
        assert run(server, "separate", "song.wav", "-o", "parts", "--json") == 0
    assert shown(capsys)["stems"] == {"vocals": "parts/vocals.flac"}


def test_a_file_is_never_put_where_the_server_says(
    server: Server, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    for name in ("../evil", "/tmp/evil", ".bashrc", "a\\b"):
        report = {"seconds": 1.0, "engine": "tone", "took": 0.5}
        with worked(server, lambda job, folder: {"report": report, "stems": {"vocals": name}}):  # noqa: B023 - run in this turn
            assert run(server, "separate", "song.wav") == 1
        assert "no name for a file" in capsys.readouterr().err
    assert {path.name for path in home.iterdir()} <= {"song.wav", "song_stems"}


def test_a_clip_is_scored_there(server: Server, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    def make(job: Job, folder: Path) -> dict[str, Any]:
        (folder / "out.mp4").write_bytes(b"film")
        (folder / "plot.png").write_bytes(b"picture")
        return {"report": {"mood": "calm"}, "files": {"output": "out.mp4", "plot": "plot.png"}}

    with worked(server, make):
        words = ("score", "song.wav", "--music", "song.wav", "--plot", "duck.png", "-o", "film.mp4", "--json")
        assert run(server, *words) == 0
    told = shown(capsys)
    assert told == {"mood": "calm", "files": {"output": "film.mp4", "plot": "duck.png"}, "tracks": []}
    assert ((home / "film.mp4").read_bytes(), (home / "duck.png").read_bytes()) == (b"film", b"picture")
    asked = server.studio.queue.list()[0].request
    assert (asked["format"], asked["plot"]) == ("mp4", True)
    assert {"upload"} == {*asked["source"], *asked["music"]}
    assert run(server, "score", "song.wav", "-o", "song.wav") == 2
    assert "the source itself" in capsys.readouterr().err


def test_a_mood_is_read_there(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    report = {"mood": {"mood": "calm", "genres": ["ambient"]}, "notes": []}
    with worked(server, lambda job, folder: {"report": report}):
        assert run(server, "mood", "song.wav", "--json") == 0
    assert shown(capsys) == report


def test_jobs_are_those_of_the_server(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    job = server.job()
    assert run(server, "jobs", "list", "--state", "queued", "--json") == 0
    assert [one["id"] for one in shown(capsys)["jobs"]] == [job.id]
    assert run(server, "jobs", "cancel", job.id) == 0
    assert run(server, "jobs", "retry", job.id) == 0
    capsys.readouterr()

    def make(job: Job, folder: Path) -> dict[str, Any]:
        (folder / "plot a.png").write_bytes(b"picture")
        return {"tracks": ["t"], "files": {"plot": "plot a.png"}}

    again = server.studio.queue.list(state="queued")[0].id
    with worked(server, make):
        assert run(server, "jobs", "watch", again) == 0
    printed = capsys.readouterr().out
    assert run(server, "jobs", "show", again) == 0
    assert capsys.readouterr().out == printed
    assert f"{server.url}/api/jobs/{again}/files/plot%20a.png" in printed
    assert run(server, "jobs", "watch", job.id) == 130
    assert run(server, "jobs", "show", "none", "--json") == 1
    assert "JOB_NOT_FOUND" in capsys.readouterr().out


def test_what_is_wrong_is_said_before_anything_is_sent(
    server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong: tuple[tuple[tuple[str, ...], str], ...] = (
        (("generate", "rain", "--duration", "1"), "5 to 600"),
        (("generate", "rain", "-o", "night.xyz"), "xyz"),
        (("generate", "rain", "-o", "none/night.wav"), "no folder"),
        (("generate", "rain", "-o", "night.wav", "--bit-depth", "16"), "--bit-depth"),
        (("generate", "rain", "-o", "night.mp3", "--bitrate", "128"), "--bitrate"),
        (("generate", "rain", "--model", "./mine"), "give a name"),
        (("separate", "none.wav"), "no file"),
        (("--token-file", "none", "jobs", "list"), "token"),
    )
    for words, says in wrong:
        assert run(server, *words) in (1, 2)
        assert says in capsys.readouterr().err
    assert not server.studio.queue.list()
    assert not list((server.studio.settings.library_folder() / "uploads").glob("*"))


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in cli.remote.COMMANDS])
def test_commands_about_this_machine_take_no_server(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--server", "http://127.0.0.1:9", command, "x"]) == 2
    assert "about this machine" in capsys.readouterr().err


def test_a_server_is_named_by_the_environment_too(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = server.job()
    monkeypatch.setenv("SOTTO_CLIENT__URL", server.url)
    assert cli.run(["jobs", "show", job.id]) == 0
    monkeypatch.setenv("SOTTO_CLIENT__URL", "null")
    assert cli.run(["jobs", "show", job.id]) == 1
    assert cli.run(["--token-file", "x", "jobs", "list"]) == 2
    assert "--server URL" in capsys.readouterr().err


class Listener(Loopback):
    """A server that remembers the tokens it was shown."""

    shown: list[str | None]

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        type(self).shown.append(self.headers.get("Authorization"))
        self.say(200, b'{"jobs": [], "after": null}')


def test_the_token_is_for_its_own_server_alone(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    Listener.shown = []
    (home / "token").write_text("filed\n")
    monkeypatch.setenv("SOTTO_CLIENT__TOKEN", "secret")
    with serving(Listener) as port, serving(Listener) as other:
        mine, theirs = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"
        assert cli.run(["--server", mine, "jobs", "list"]) == 0
        monkeypatch.setenv("SOTTO_CLIENT__URL", mine)
        assert cli.run(["jobs", "list"]) == 0
        assert cli.run(["--server", theirs, "jobs", "list"]) == 0
        assert cli.run([f"--server={theirs}", "--token-file", "token", "jobs", "list"]) == 0
    assert Listener.shown == ["Bearer secret", "Bearer secret", None, "Bearer filed"]


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--server", "http://127.0.0.1:9", "generate", "rain", "--json"]) == 1
    assert shown(capsys)["error"]["code"] == errors.RemoteFailed.code
    assert cli.run(["--server", "localhost", "generate", "rain"]) == 2
    assert "no address" in capsys.readouterr().err


@pytest.mark.long
def test_an_interrupt_cancels_the_job_there(server: Server) -> None:
    command = [sys.executable, "-m", "sottovoce", "--server", server.url, "generate", "rain"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    queue = server.studio.queue
    until(queue.list, SECONDS)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert b"stopped" in told
    assert queue.list()[0].state == "cancelled"


@pytest.fixture
def studio_elsewhere(tmp_path: Path) -> Iterator[str]:
    """The address of a server in a process of its own, with its worker."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    environment = os.environ | {"SOTTO_LIBRARY__DIRECTORY": str(tmp_path / "theirs"), "HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "sottovoce", "serve", "--port", str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with Client(url) as client:
                return bool(client.health())
        except errors.RemoteFailed:
            return False

    until(answers, SECONDS)
    yield url
    process.terminate()
    process.wait()


@pytest.mark.long
def test_work_that_a_worker_elsewhere_does(
    studio_elsewhere: str, capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    (home / "song.wav").write_bytes(wav(6))
    there = ["--server", studio_elsewhere]
    words = ["generate", "rain", "--engine", "tone", "--duration", "5", "--seed", "7", "-o", "night.flac", "--json"]
    assert cli.run([*there, *words]) == 0
    afar = shown(capsys)
    assert cli.run(words) == 0
    here = shown(capsys)
    assert afar.keys() == here.keys()
    assert afar["files"] == here["files"]
    (track,), (mine,) = afar["tracks"], here["tracks"]
    assert track.keys() == mine.keys()
    assert (track["id"], track["recipe"]["audio"]) == (mine["id"], mine["recipe"]["audio"])
    assert cli.run([*there, "separate", "song.wav", "--engine", "tone", "--json"]) == 0
    afar = shown(capsys)
    assert cli.run(["separate", "song.wav", "--engine", "tone", "--json"]) == 0
    here = shown(capsys)
    assert (afar.keys(), afar["stems"]) == (here.keys(), here["stems"])
    assert cli.run([*there, "score", "song.wav", "--music", "song.wav", "-o", "scored.wav", "--json"]) == 0
    assert shown(capsys)["files"] == {"output": "scored.wav"}
    assert (home / "scored.wav").read_bytes()[:4] == b"RIFF"
    assert not (tmp_path / "mine" / "jobs").exists()
