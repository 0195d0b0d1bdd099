"""Row 19: server, worker or runner are killed at random moments while jobs are filed and done; then nothing may be lost, doubled or half done.

python bench/kills.py [--kills 100] [--seed 1] [--folder F]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from server_process import ServerProcess, until
from sottovoce.audio import Audio
from sottovoce.media.encode import encode, format_of

ROLES = ("server", "worker", "runner")
#: So many jobs wait or run at any time.
_AT_ONCE = 6


class Attack:
    """A server under fire, and what was asked of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = ServerProcess(folder, settings={"SOTTO_JOBS__WORKERS": "2", "SOTTO_JOBS__MAX_PENDING": "1000"})
        self.song = folder / "song.wav"
        noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, 5 * 44_100)).astype(np.float32)
        encode(Audio(noise, 44_100), self.song, format_of(self.song))
        self.asked: dict[str, str] = {}
        self.kills: Counter[str] = Counter()

    def run(self, kills: int) -> None:
        """Keep it at work, and kill."""
        self.server.start()
        while sum(self.kills.values()) < kills:
            self.feed()
            time.sleep(self.random.uniform(0, 4))
            self.kill()
        until(self.settled, 1800)

    def feed(self) -> None:
        """File jobs until enough of them are under way. A call that breaks off is made again with the same key."""
        while self.open_jobs() < _AT_ONCE:
            key = f"k{len(self.asked)}"
            self.asked[key] = self.insist(key, self.wish())["id"]

    def wish(self) -> dict[str, Any]:
        seed = len(self.asked)
        kind = self.random.choice(("tone", "composer", "separate"))
        if kind == "separate":
            return {"kind": "separate", "source": {"upload": self.upload()}, "engine": "classical", "cache": False}
        return {"kind": "generate", "prompt": "rain", "duration": 5, "engine": kind, "seed": seed, "lane": "batch"}

    def upload(self) -> str:
        return str(self.calling(lambda client: client.post("/api/uploads", files={"file": self.song.open("rb")}))["id"])

    def insist(self, key: str, wish: dict[str, Any]) -> dict[str, Any]:
        job: dict[str, Any] = self.calling(
            lambda client: client.post("/api/jobs", json=wish, headers={"Idempotency-Key": key})
        )["job"]
        return job

    def calling(self, call: Any) -> dict[str, Any]:
        while True:
            try:
                with self.server.client() as client:
                    answer = call(client)
                    assert answer.is_success, answer.text
                    told: dict[str, Any] = answer.json()
                    return told
            except httpx.TransportError:
                self.revive()

    def open_jobs(self) -> int:
        told = self.calling(lambda client: client.get("/api/jobs?limit=200"))
        return sum(job["state"] in ("queued", "running") for job in told["jobs"])

    def kill(self) -> None:
        family = self.server.family()
        role = self.random.choice([role for role in ROLES if role in family])
        try:
            os.kill(family[role], signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[role] += 1
        print(f"{sum(self.kills.values())}: {role}", flush=True)
        self.revive()

    def revive(self) -> None:
        process = self.server.process
        if process is not None and process.poll() is not None:
            self.server.start()

    def settled(self) -> bool:
        time.sleep(1)
        return self.open_jobs() == 0

    def verdict(self) -> dict[str, int]:
        """What was lost, doubled, or left half done."""
        library = self.server.folder / "library"
        with sqlite3.connect(library / "sotto.db") as database:
            states = dict(database.execute("SELECT id, state FROM jobs"))
            events = Counter(
                dict(
                    database.execute(
                        "SELECT id, (SELECT count(*) FROM job_events e WHERE e.job = j.number AND e.kind = 'done') FROM jobs j"
                    )
                )
            )
            seeds = Counter(seed for (seed,) in database.execute("SELECT seed FROM tracks"))
            known = {path for (path,) in database.execute("SELECT path FROM files")}
            attempts = database.execute("SELECT sum(attempt) FROM jobs").fetchone()[0]
        files = {str(path.relative_to(library)) for path in (library / "audio").rglob("*") if path.is_file()}
        return {
            "asked": len(self.asked),
            "jobs": len(states),
            "done": sum(state == "done" for state in states.values()),
            "lost": sum(states.get(job) is None for job in self.asked.values()),
            "not done": sum(state != "done" for state in states.values()),
            "done twice": sum(count > 1 for count in events.values()),
            "tracks doubled": sum(count > 1 for count in seeds.values()),
            "files nobody knows": len(files - known),
            "files missing": len(known - files),
            "attempts": attempts,
        }


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--kills", type=int, default=100)
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--folder", type=Path)
    asked = wanted.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    attack, begun = Attack(folder, asked.seed), time.monotonic()
    try:
        attack.run(asked.kills)
    finally:
        attack.server.stop()
    print(dict(attack.kills), f"in {time.monotonic() - begun:.0f} s")
    for name, count in attack.verdict().items():
        print(f"{name}: {count}")


if __name__ == "__main__":
    main()
