"""What the acceptance tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.home import Home, SameProcess, make_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home folder."""
    return make_home(tmp_path, Home)


@pytest.fixture
def quick(home: Home) -> SameProcess:
    """The same home for tests whose commands need no process of their own; one path of each job has them."""
    return SameProcess(home.folder)
