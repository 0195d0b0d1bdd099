"""The installed command, run as a user would: in an empty home folder, with the network off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from sottovoce import cli

COMMAND = Path(sys.executable).with_name("sotto")

#: Any process that Python starts in the home below fails on its first step into the network.
NO_NETWORK = """
import socket

def refused(*_arguments, **_options):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
"""


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """An empty home folder with a working folder in it."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {"HOME": str(self.folder), "PYTHONPATH": str(self.folder / "no-network")}

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *map(str, words)],
            cwd=self.work,
            env=self.environment | environment,
            text=True,
            preexec_fn=_heeding,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def sotto(self, *words: str | Path, stdin: bytes | None = None, **environment: str) -> Answer:
        command = [str(COMMAND), *map(str, words)]
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=900,
        )
        answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in answer.err + answer.out
        return answer

    def done(self, *words: str | Path, **environment: str) -> Any:
        """The JSON of a command that must succeed."""
        answer = self.sotto(*words, "--json", stdin=None, **environment)
        assert answer.code == 0, answer.out + answer.err
        return answer.json

    def files(self) -> set[str]:
        """Everything in the working folder."""
        return {str(path.relative_to(self.work)) for path in self.work.rglob("*")}

    def scratch(self) -> list[Path]:
        """What is left in scratch folders anywhere in this home."""
        return [path for path in self.folder.rglob("scratch/*") if path.is_dir()]

    def offline(self) -> None:
        """Switch the network off for whatever Python is started here."""
        (self.folder / "no-network").mkdir()
        (self.folder / "no-network" / "sitecustomize.py").write_text(NO_NETWORK)


def _heeding() -> None:
    """Interrupts reach the command even where whoever started the tests ignores them, as shells do for what runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class SameProcess(Home):
    """A home whose commands run in the process of the tests, where one of their own would add nothing but seconds; the network stays on."""

    def sotto(self, *words: str | Path, stdin: bytes | None = None, **environment: str) -> Answer:
        assert stdin is None, "only a command of its own has a standard input"
        out, err = StringIO(), StringIO()
        with (
            patch.dict(os.environ, self.environment | environment, clear=True),
            chdir(self.work),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = cli.run([str(word) for word in words])
        answer = Answer(code, out.getvalue(), err.getvalue())
        assert "Traceback" not in answer.err + answer.out
        return answer


HomeT = TypeVar("HomeT", bound=Home)


def make_home(folder: Path, kind: type[HomeT]) -> HomeT:
    """An empty home in a folder, with the network off."""
    home = kind(folder)
    home.work.mkdir()
    home.offline()
    return home
