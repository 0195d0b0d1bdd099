"""A queue in an empty library."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sottovoce.database.connect import open_database
from sottovoce.jobs.queue import Queue


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty library whose tables are all there, to be copied: making those of the queue takes seconds."""
    folder = tmp_path_factory.mktemp("prepared")
    database = open_database(folder)
    queue = Queue(database)
    queue.cancel(queue.submit("generate", {"prompt": "rain"}).id)
    queue.forget(0)
    queue.close()
    database.dispose()
    return folder


@pytest.fixture
def database(tmp_path: Path, prepared: Path) -> Iterator[Engine]:
    """The database of an empty library."""
    shutil.copytree(prepared, tmp_path / "library")
    engine = open_database(tmp_path / "library")
    yield engine
    engine.dispose()


@pytest.fixture
def queue(database: Engine) -> Iterator[Queue]:
    """The library's queue; two pieces may wait."""
    queue = Queue(database, max_pending=2)
    yield queue
    queue.close()
