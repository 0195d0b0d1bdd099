"""Row 7: how fast jobs are filed, and how fast a page of many is read.

python bench/jobs.py [--jobs 10000] [--filed 1000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert

from sottovoce.database.connect import open_database, writing
from sottovoce.database.schema import jobs
from sottovoce.jobs import rows
from sottovoce.jobs.queue import Queue


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--jobs", type=int, default=10_000, help="how many jobs the pages are read from")
    wanted.add_argument("--filed", type=int, default=1000, help="how many are filed one by one")
    asked = wanted.parse_args()
    # In the memory's file system where there is one: the disk's own speed is not what is measured.
    shared = Path("/dev/shm")
    for place in (None, str(shared) if shared.is_dir() else None):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            measure(Path(folder), asked.jobs, asked.filed)


def measure(folder: Path, many: int, filed: int) -> None:
    database = open_database(folder)
    queue = Queue(database)
    queue.submit("separate", {"source": {"track": "first"}})
    taken = seconds(lambda: file(queue, filed))
    print(f"{folder}: filed {filed} jobs one by one: {filed / taken:.0f} a second")
    with writing(database) as connection:
        connection.execute(insert(jobs), [row(number) for number in range(many)])
    pages = [seconds(lambda: queue.list(limit=50)) for _ in range(15)]
    waits = [seconds(lambda: queue.list(limit=50, state="done")) for _ in range(15)]
    print(
        f"  page of 50 out of {many + filed}: median {1000 * statistics.median(pages):.1f} ms, slowest {1000 * max(pages):.1f} ms"
    )
    print(f"  the same, only those done: median {1000 * statistics.median(waits):.1f} ms")
    queue.close()
    database.dispose()


def file(queue: Queue, count: int) -> None:
    for number in range(count):
        queue.submit("separate", {"source": {"track": str(number)}})


def row(number: int) -> dict[str, object]:
    state = "done" if number % 2 else "queued"
    return {
        "id": f"{number:016x}", "owner": "", "kind": "generate", "lane": "batch", "rank": 2_000_000_000, "state": state, "request": "{}", "digest": "",
        "percent": 0.0, "attempt": 1, "created": rows.now(),
    }  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
