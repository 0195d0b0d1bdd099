"""A seat is one process's alone, keeps its name, and is seen to be empty when its process is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce import errors
from sottovoce.worker.seat import abandoned, alone, seat

_SIT = """
import sys, time
from pathlib import Path
from sottovoce.worker.seat import seat
with seat(Path(sys.argv[1])) as name:
    print(name, flush=True)
    time.sleep(600)
"""


def test_a_seat_that_is_free_again_has_the_same_name(tmp_path: Path) -> None:
    with seat(tmp_path) as first:
        assert abandoned(tmp_path) == ()
    with seat(tmp_path) as again:
        assert again == first
    assert abandoned(tmp_path) == (first,)


def test_the_next_process_takes_the_next_seat_and_a_killed_one_leaves_its_own(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", _SIT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    taken = other.stdout.readline().strip()
    with seat(tmp_path) as mine:
        assert mine != taken
        other.kill()
        other.communicate()
        assert abandoned(tmp_path) == (taken,)
    with seat(tmp_path) as next_:
        assert next_ == taken


def test_a_seat_under_a_name_the_machine_had_before_is_found_too(tmp_path: Path) -> None:
    """Every new container has another name."""
    (tmp_path / "old-container-3.lock").touch()
    with seat(tmp_path):
        assert abandoned(tmp_path) == ("old-container:3",)


def test_there_is_one_server(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "server.lock"),
        pytest.raises(errors.LibraryInUse, match="another server"),
        alone(tmp_path / "server.lock"),
    ):
        pass
    with alone(tmp_path / "server.lock"):
        pass
