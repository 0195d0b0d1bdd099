"""Makes the checkout's .venv: one process at a time, a line per step on standard error, marked ready only when complete.

    environment.py REPOSITORY WANTED [--dev]

WANTED is what `.venv/.ready` must say (a hash of pyproject.toml and constraints.txt, and where the checkout lies). Uses the standard
library only, since it runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    repository, wanted = Path(sys.argv[1]), sys.argv[2]
    dev = "--dev" in sys.argv[3:]
    with (repository / ".venv.lock").open("w") as lock:
        wait_for(lock.fileno())
        return make(repository, wanted, dev=dev)


def wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another process is setting up .venv, waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def make(repository: Path, wanted: str, *, dev: bool) -> int:
    folder = repository / ".venv"
    ready = folder / ".ready"
    now = ready.read_text() if ready.exists() else ""
    # A Python that was upgraded or removed leaves a dead link in .venv.
    whole = now.endswith(f" {repository}") and os.access(folder / "bin" / "python", os.X_OK)
    if whole and now in (f"dev {wanted}", f"core {wanted}") and (not dev or now.startswith("dev")):
        return 0
    if not whole and not create(folder):
        return 1
    dev = dev or (whole and now.startswith("dev"))
    if not install(repository, dev=dev):
        return 1
    mark(ready, f"{'dev' if dev else 'core'} {wanted}")
    say("ready")
    return 0


def create(folder: Path) -> bool:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        say(f"this Python {version} has no venv module. Debian and Ubuntu: 'apt install python{version}-venv'.")
        return False
    say(f"making .venv with Python {version} (first run only)")
    shutil.rmtree(folder, ignore_errors=True)
    return run(
        [sys.executable, "-m", "venv", str(folder)], os.environ.copy(), "make a virtual environment; is the disk full?"
    )


def install(repository: Path, *, dev: bool) -> bool:
    say(f"installing {'what the tests need' if dev else 'the studio'} (about {'200' if dev else '120'} MB to fetch)")
    constraints = (repository / "constraints.txt").as_uri()
    environment = os.environ | {
        "PIP_CONSTRAINT": constraints,
        "PIP_BUILD_CONSTRAINT": constraints,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    pip = [str(repository / ".venv" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    # Most of what the tests' packages bring is never imported; Python compiles what is when it is.
    what = ["--no-compile", "--editable", f"{repository}[dev]"] if dev else ["--editable", str(repository)]
    return run(
        [*pip, *what],
        environment,
        "install; is there a network and space on the disk?",
    )


def run(command: list[str], environment: dict[str, str], purpose: str) -> bool:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:])
        say(f"could not {purpose} Running it again starts afresh.")
    return done.returncode == 0


def mark(ready: Path, text: str) -> None:
    part = ready.with_suffix(".part")
    part.write_text(text)
    part.replace(ready)


def say(line: str) -> None:
    print(f"sotto: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
