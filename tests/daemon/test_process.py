"""The daemon as editors meet it: a process, its pipes, and the tracks it leaves in the library."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.home import Home, make_home
from tests.daemon.editor import Editor

SLOW = {"delay": 120}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """One daemon for all that leave it as they found it."""
    editor = Editor(make_home(tmp_path_factory.mktemp("home"), Home))
    yield editor
    editor.kill()


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """A maker of daemons in one home, ended afterwards."""
    home, started = make_home(tmp_path, Home), list[Editor]()

    def start(*options: str, **environment: str) -> Editor:
        started.append(Editor(home, *options, **environment))
        return started[-1]

    yield start
    for editor in started:
        editor.kill()


def test_a_track_is_made_and_the_same_request_is_answered_at_once(shared: Editor) -> None:
    wish = {"prompt": "calm piano", "duration_sec": 5, "seed": 7, "options": {"delay": 2}}
    answer = shared.call("generate", **wish)
    assert answer | {"track_id": ""} == {
        "track_id": "", "status": "generating", "position": 0, "seed": 7, "backend": "tone",
    }  # fmt: skip
    track_id = answer["track_id"]
    assert re.fullmatch("[0-9a-f]{16}", track_id)
    made = shared.told("generation_complete", track_id)
    assert Path(made["path"]).stat().st_size > 1000
    expected = {"duration_sec": 5.0, "sample_rate": 48_000, "prompt": "calm piano", "seed": 7, "backend": "tone"}
    assert expected.items() <= made.items()
    assert made["generation_time_sec"] > 0
    first, *told = shared.about(track_id)
    assert "result" in first, "the answer comes before any notification"
    percents = [message["params"]["percent"] for message in told if message["method"] == "generation_progress"]
    assert percents == sorted(percents)
    assert percents
    assert max(percents) <= 99

    again = shared.call("generate", **wish)
    assert again == answer | {"status": "complete"}
    for _ in range(100):
        ends = [message for message in shared.about(track_id) if message.get("method") == "generation_complete"]
        if len(ends) == 2:
            break
        time.sleep(0.1)
    assert [message["params"]["path"] for message in ends] == [made["path"]] * 2
    assert "result" in shared.about(track_id)[-2], "from the library too"
    assert all(each.bytes <= 4096 for each in shared.heard)


@pytest.mark.long
def test_wrong_params_are_refused_by_their_own_codes(shared: Editor) -> None:
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"prompt": ""}, -32006, "INVALID_PROMPT"),
        ({}, -32006, "INVALID_PROMPT"),
        ({"prompt": "x" * 1001}, -32006, "INVALID_PROMPT"),
        ({"prompt": "\udc80"}, -32006, "INVALID_PROMPT"),
        ({"prompt": "x", "duration_sec": 4}, -32005, "INVALID_DURATION"),
        ({"prompt": "x", "duration_sec": 601}, -32005, "INVALID_DURATION"),
        ({"prompt": "x", "backend": "nothing"}, -32007, "INVALID_BACKEND"),
        ({"prompt": "x", "backend": 7}, -32007, "INVALID_BACKEND"),
        ({"prompt": "x", "backend": "ace_step"}, -32008, "BACKEND_NOT_INSTALLED"),
        ({"prompt": "x", "backend": "musicgen"}, -32008, "BACKEND_NOT_INSTALLED"),
        ({"prompt": "x", "inference_steps": 0}, -32009, "INVALID_INFERENCE_STEPS"),
        ({"prompt": "x", "guidance_scale": -1}, -32010, "INVALID_GUIDANCE_SCALE"),
        ({"prompt": "x", "scheduler": "No Such"}, -32011, "INVALID_SCHEDULER"),
        ({"prompt": "x", "backend": "composer", "inference_steps": 8}, -32009, "INVALID_INFERENCE_STEPS"),
        ({"prompt": "x", "seed": 2**32}, -32602, "INVALID_PARAMETER"),
        ({"prompt": "x", "priority": "urgent"}, -32602, "INVALID_PARAMETER"),
        ({"prompt": "x", "model": "/etc/passwd"}, -32602, "INVALID_PARAMETER"),
        ({"prompt": "x", "options": {"model": "/etc/passwd"}}, -32602, "INVALID_PARAMETER"),
        ({"prompt": "x", "cover": {"path": "/etc/passwd"}}, -32602, "INVALID_PARAMETER"),
    ]
    for params, code, name in wrong:
        error = shared.fails("generate", **params)
        assert (error["code"], error["data"]["error_code"]) == (code, name), params
        assert set(error["data"]) == {"error_code", "hint", "details"}
    assert "pull" in shared.fails("generate", prompt="x", backend="ace_step")["data"]["hint"]
    assert shared.fails("sing")["code"] == -32601
    assert shared.fails("cancel")["code"] == -32602
    assert shared.call("cancel", track_id="0" * 16) == {"cancelled": False, "was_generating": False}


@pytest.mark.long
def test_rubbish_is_answered_and_survived(shared: Editor) -> None:
    assert shared.refusal(bytes(range(128, 256)) + b"\n")["code"] == -32700
    assert shared.refusal(b"[" * 500_000 + b"\n")["code"] == -32700
    assert shared.refusal(b"x" * 10_000_000 + b"\n")["code"] == -32600
    assert shared.refusal(b'{"jsonrpc":"2.0"}\n')["code"] == -32600
    shared.send(b'\n\n{"jsonrpc":"2.0","method":"no such notification"}\n')
    assert shared.call("ping") == {"status": "ok"}


@pytest.mark.long
def test_backends_say_what_they_can(shared: Editor) -> None:
    told = shared.call("get_backends")
    assert told["default_backend"] == "tone"
    backends = {backend["type"]: backend for backend in told["backends"]}
    assert list(backends) == ["ace_step", "musicgen", "composer", "tone"]
    assert (backends["composer"]["status"], backends["ace_step"]["status"]) == ("ready", "not_installed")
    for backend in backends.values():
        limits = (backend["min_duration_sec"], backend["max_duration_sec"], backend["sample_rate"])
        assert all(isinstance(limit, int) for limit in limits)
    assert shared.call("download_backend", backend="composer")["already_installed"]


@pytest.mark.long
def test_the_queue_fills_is_cancelled_and_pings_are_answered_all_the_while(shared: Editor) -> None:
    first = shared.call("generate", prompt="first", duration_sec=5, options=SLOW)
    rest = [shared.call("generate", prompt=f"later {n}", duration_sec=5, options=SLOW) for n in range(4)]
    urgent = shared.call("generate", prompt="urgent", duration_sec=5, priority="high", options=SLOW)
    assert [each["position"] for each in [first, *rest, urgent]] == [0, 1, 2, 3, 4, 1]
    full = shared.fails("generate", prompt="too many", duration_sec=5)
    assert (full["code"], full["data"]["error_code"]) == (-32004, "QUEUE_FULL")
    assert full["data"]["details"]["position"] == 6
    assert full["data"]["details"]["estimated_wait_sec"] > 0
    status = shared.call("queue_status")
    assert status["current"]["track_id"] == first["track_id"]
    assert [each["track_id"] for each in status["pending"]] == [each["track_id"] for each in [urgent, *rest]]

    assert shared.call("queue_cancel", track_id=first["track_id"]) == {"cancelled": False}
    assert shared.call("queue_cancel", track_id=urgent["track_id"]) == {"cancelled": True}
    assert shared.told("generation_error", urgent["track_id"])["code"] == "GENERATION_CANCELLED"
    assert shared.call("queue_clear") == {"cleared": 4}

    shared.told("generation_progress", first["track_id"])
    while shared.call("queue_status")["current"]["percent"] == 0:
        time.sleep(0.2)
    assert statistics.median(_seconds_of_ping(shared) for _ in range(15)) < 0.1
    assert shared.call("cancel", track_id=first["track_id"]) == {"cancelled": True, "was_generating": True}
    begun = time.monotonic()
    cancelled = shared.told("generation_cancelled", first["track_id"])
    assert time.monotonic() - begun < 5
    assert cancelled["total_steps"] > cancelled["at_step"] > 0
    assert shared.told("generation_error", first["track_id"])["code"] == "GENERATION_CANCELLED"
    assert "current" not in shared.call("queue_status")


def _seconds_of_ping(editor: Editor) -> float:
    begun = time.monotonic()
    editor.call("ping")
    return time.monotonic() - begun


@pytest.mark.long
def test_a_batch_is_answered_together_and_before_what_follows(shared: Editor) -> None:
    shared.send(
        b'[{"jsonrpc":"2.0","id":"a","method":"generate","params":{"prompt":"batch","duration_sec":5,"seed":1}},'
        b'{"jsonrpc":"2.0","method":"ping"}, 5, {"jsonrpc":"2.0","id":"b","method":"ping"}]\n'
    )
    shared.answer("b")
    answers = shared.batches[-1]
    assert [answer["id"] for answer in answers] == ["a", None, "b"]
    track_id = answers[0]["result"]["track_id"]
    shared.told("generation_complete", track_id)
    assert "result" in shared.about(track_id)[0]


@pytest.mark.long
def test_what_was_made_is_listed_kept_over_a_restart_and_forgotten(starting: Callable[..., Editor]) -> None:
    editor = starting()
    wishes = [{"prompt": f"number {n}", "duration_sec": 5, "seed": n} for n in range(2)]
    made = [editor.call("generate", **wish)["track_id"] for wish in wishes]
    for track_id in made:
        editor.told("generation_complete", track_id)
    assert editor.end() == 0

    editor = starting()
    assert editor.call("generate", **wishes[0])["status"] == "complete"
    assert editor.told("generation_complete", made[0])["generation_time_sec"] > 0
    listed = editor.call("cache_list")["tracks"]
    assert {track["track_id"] for track in listed} == set(made)
    page = editor.call("cache_list", limit=1)
    assert [track["track_id"] for track in page["tracks"]] == [made[1]]
    assert [track["track_id"] for track in editor.call("cache_list", after=page["after"])["tracks"]] == [made[0]]
    stats = editor.call("cache_stats")
    assert (stats["tracks"], stats["duration_sec"]) == (2, 10.0)
    assert editor.call("cache_delete", track_id=made[0]) == {"deleted": True, "removed": True}
    assert editor.call("cache_delete", track_id=made[0]) == {"deleted": False, "removed": False}
    assert editor.call("cache_clear") == {"deleted": 1, "removed": 1}
    assert not Path(listed[0]["path"]).exists()
    assert editor.call("shutdown") == {"status": "shutting_down"}
    assert editor.process.wait(60) == 0


@pytest.mark.long
@pytest.mark.parametrize("way", ["end of input", "kill", "shutdown"])
def test_children_go_when_it_goes(starting: Callable[..., Editor], way: str) -> None:
    editor = starting()
    track_id = editor.call("generate", prompt="long", duration_sec=5, options=SLOW)["track_id"]
    while editor.call("queue_status")["current"]["percent"] == 0:
        time.sleep(0.2)
    assert Path(f"/proc/{editor.process.pid}/comm").read_text().strip() == "lofi-daemon"
    children = _children(editor.process.pid)
    assert children
    if way == "kill":
        editor.process.send_signal(signal.SIGKILL)
        editor.process.wait()
    elif way == "shutdown":
        assert editor.call("shutdown") == {"status": "shutting_down"}
        assert editor.process.wait(60) == 0
    else:
        assert editor.end() == 0
    until = time.monotonic() + 5
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not [message for message in editor.about(track_id) if message.get("method") == "generation_complete"]


def _children(process: int) -> list[str]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False)
    return found.stdout.split()


@pytest.mark.long
def test_it_ends_when_nothing_is_asked_for_long_enough(starting: Callable[..., Editor]) -> None:
    editor = starting("--idle-exit", "2")
    track_id = editor.call("generate", prompt="x", duration_sec=5, options={"delay": 4})["track_id"]
    editor.told("generation_complete", track_id)
    assert editor.process.wait(60) == 0


@pytest.mark.long
def test_what_is_asked_before_the_end_of_input_is_answered(starting: Callable[..., Editor]) -> None:
    editor = starting()
    name = editor.ask("get_backends")
    assert editor.end() == 0
    assert editor.answer(name)["result"]["default_backend"] == "tone"
