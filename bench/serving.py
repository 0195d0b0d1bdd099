"""What the server takes: idle, with 200 listeners, with 50 uploads of 100 MB at once; and what it says to broken files (row 20 over HTTP).

python bench/serving.py idle|listeners|uploads|broken|filing [--count N] [--folder F]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

import fuzz
from server_process import ServerProcess, memory_mb, processor_seconds, serving

_RAIN = {"kind": "generate", "prompt": "rain", "duration": 5, "engine": "tone", "lane": "batch"}


def idle(server: ServerProcess, seconds: int) -> None:
    """Memory and processor of a server and its worker that nobody asks for anything."""
    time.sleep(5)
    family = server.family()
    before = {role: processor_seconds(pid) for role, pid in family.items()}
    time.sleep(seconds)
    for role, pid in family.items():
        share = 100 * (processor_seconds(pid) - before[role]) / seconds
        print(f"{role}: {memory_mb(pid):.0f} MB, {share:.2f} % of a core over {seconds} s")


def listeners(server: ServerProcess, count: int) -> None:
    """So many listeners to one job: how late each hears of its end."""
    with server.client() as client:
        job = client.post("/api/jobs", json=_RAIN).json()["job"]["id"]
        ready, heard = threading.Barrier(count + 1), list[float]()

        def listen() -> None:
            with (
                httpx.Client(base_url=server.url, trust_env=False, timeout=600) as mine,
                mine.stream("GET", f"/api/jobs/{job}/events") as answer,
            ):
                lines = answer.iter_lines()
                next(lines)
                ready.wait()
                assert "event: cancelled" in lines
                heard.append(time.monotonic())

        threads = [threading.Thread(target=listen) for _ in range(count)]
        for thread in threads:
            thread.start()
        ready.wait()
        begun = time.monotonic()
        assert client.delete(f"/api/jobs/{job}").is_success
        for thread in threads:
            thread.join()
    late = sorted(moment - begun for moment in heard)
    told = f"median {statistics.median(late):.2f} s, last {late[-1]:.2f} s"
    print(
        f"{len(heard)} of {count} listeners heard the end: {told}; server {memory_mb(server.family()['server']):.0f} MB"
    )


def uploads(server: ServerProcess, count: int) -> None:
    """So many uploads of 100 MB at once: memory, and what the server answers meanwhile."""
    pid, waits, over = server.family()["server"], list[float](), threading.Event()

    def ask() -> None:
        with server.client() as client:
            while not over.is_set():
                begun = time.monotonic()
                client.get("/health")
                waits.append(time.monotonic() - begun)
                time.sleep(0.2)

    asking = threading.Thread(target=ask)
    asking.start()
    before, begun = memory_mb(pid), time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        statuses = Counter(pool.map(lambda number: send(server, number), range(count)))
    over.set()
    asking.join()
    seconds = time.monotonic() - begun
    print(f"{count} uploads of 100 MB: {dict(statuses)} in {seconds:.0f} s ({count * 100 / seconds:.0f} MB/s)")
    print(f"server: {before:.0f} MB before, {memory_mb(pid, 'VmHWM'):.0f} MB at the most")
    print(f"/health meanwhile: median {1000 * statistics.median(waits):.0f} ms, slowest {1000 * max(waits):.0f} ms")


def send(server: ServerProcess, number: int) -> int:
    """One upload, made while it is sent; tried again where the server has its hands full."""
    for _ in range(200):
        with httpx.Client(base_url=server.url, trust_env=False, timeout=600) as client:
            answer = client.post(
                "/api/uploads",
                content=form(number),
                headers={"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(_FORM_BYTES)},
            )
        if answer.status_code != 429:
            break
        time.sleep(float(answer.headers.get("retry-after", 1)))
    return answer.status_code


_FILE_BYTES = 100_000_000
_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="song.wav"\r\n\r\n'
_TAIL = b"\r\n--x--\r\n"
_FORM_BYTES = len(_HEAD) + _FILE_BYTES + len(_TAIL)


def form(number: int) -> Iterator[bytes]:
    """A form with a WAV file of 100 MB."""
    yield _HEAD
    data = _FILE_BYTES - 44
    sizes = ((1, 2), (2, 2), (44_100, 4), (176_400, 4), (4, 2), (16, 2))
    said = b"".join(value.to_bytes(size, "little") for value, size in sizes)
    yield (
        b"RIFF"
        + (36 + data).to_bytes(4, "little")
        + b"WAVEfmt \x10\0\0\0"
        + said
        + b"data"
        + data.to_bytes(4, "little")
    )
    block = random.Random(number).randbytes(1 << 16)
    while data > 0:
        yield block[:data]
        data -= len(block)
    yield _TAIL


def broken(server: ServerProcess, count: int) -> None:
    """Row 20 over HTTP: files cut, flipped, random or called what they are not. Every answer must be one of the catalogue's, and quick."""
    answers, slowest = Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as name, server.client() as client:
        folder = Path(name)
        fuzz.make_seeds(folder)
        for index in range(count):
            data, called, _ = fuzz.broken(index, 1, folder)
            begun = time.monotonic()
            answer = client.post("/api/uploads", files={"file": (called, data)})
            slowest = max(slowest, time.monotonic() - begun)
            answers[f"{answer.status_code} {answer.json().get('error', {}).get('code', 'taken')}"] += 1
    print(f"{count} broken files, slowest {slowest:.1f} s: {dict(answers)}")


def filing(server: ServerProcess, count: int) -> None:
    """Jobs filed one after the other over HTTP, and pages of fifty."""
    with server.client() as client:
        client.post("/api/jobs", json=_RAIN)
        begun = time.monotonic()
        for _ in range(count):
            assert client.post("/api/jobs", json=_RAIN).status_code == 202
        taken = time.monotonic() - begun
        pages = []
        for _ in range(15):
            begun = time.monotonic()
            client.get("/api/jobs?limit=50")
            pages.append(time.monotonic() - begun)
    print(
        f"filed {count} over HTTP: {count / taken:.0f} a second; page of 50: median {1000 * statistics.median(pages):.0f} ms"
    )


WORKS = {
    "idle": (idle, 60),
    "listeners": (listeners, 200),
    "uploads": (uploads, 50),
    "broken": (broken, 10_000),
    "filing": (filing, 500),
}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("what", choices=WORKS)
    wanted.add_argument("--count", type=int)
    wanted.add_argument("--folder", type=Path)
    asked = wanted.parse_args()
    work, usual = WORKS[asked.what]
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        # Only the idle one has a worker: what the server takes is measured, not what it has done.
        alone = () if asked.what == "idle" else ("--no-worker",)
        with serving(Path(folder), *alone) as server:
            work(server, asked.count or usual)


if __name__ == "__main__":
    main()
