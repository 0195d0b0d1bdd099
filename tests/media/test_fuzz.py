from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "fuzz.py"


@pytest.mark.long
def test_a_thousand_broken_files_break_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--files", "1200", "--json"], capture_output=True, text=True, check=False
    )
    counts = json.loads(done.stdout)
    assert counts["worst"] == []
    assert counts["files"] == 1200
    assert set(counts["outcomes"]) == {"ok", "CORRUPT_MEDIA", "UNSUPPORTED_FORMAT"}
    # Something must have been broken, and something left readable.
    assert min(counts["outcomes"].values()) > 50
