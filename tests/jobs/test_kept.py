"""What is kept of a job beside what it made survives the process, and shows in none of its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sottovoce.jobs.kept import KeptMemo, logged, note, read_log


def test_a_memo_is_found_by_the_next_attempt_as_it_was_saved(tmp_path: Path) -> None:
    memo = KeptMemo.of(tmp_path)
    assert memo == {}
    memo["lalalai"] = {"keys": {"vocals": "k1"}}
    memo.save()
    memo["lalalai"] = {"never": "saved"}
    assert KeptMemo.of(tmp_path) == {"lalalai": {"keys": {"vocals": "k1"}}}
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())


def test_a_memo_cut_off_while_it_was_written_leaves_the_one_before(tmp_path: Path) -> None:
    memo = KeptMemo.of(tmp_path)
    memo["a"] = 1
    memo.save()
    (tmp_path / ".memo.draft").write_text('{"a": 2')
    assert KeptMemo.of(tmp_path) == {"a": 1}


def test_the_log_has_what_is_printed_written_and_noted_and_nothing_after(tmp_path: Path) -> None:
    assert read_log(tmp_path) == ""
    with logged(tmp_path):
        os.write(2, b"from native code\n")
        subprocess.run([sys.executable, "-c", "import sys; print('from a child', file=sys.stderr)"], check=True)
    note(tmp_path, "TIMED_OUT: too slow")
    lines = read_log(tmp_path).splitlines()
    assert lines[:2] == ["from native code", "from a child"]
    assert lines[2].endswith("TIMED_OUT: too slow")
    assert len(lines) == 3
