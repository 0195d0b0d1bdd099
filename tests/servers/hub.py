"""A hub on loopback that speaks as Hugging Face does: commits in headers, ranges, redirects to a store of large files, and its faults."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.servers.loopback import Loopback, serving

FAULTS = ("cut", "hang", "busy", "short", "long", "flip", "ignore-range", "wrong-range")


@dataclass
class HubServer:
    """Files by repository, revision and name; `faults` are used up one a request for a file."""

    port: int = 0
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    #: Method, path and headers of everything that was asked.
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    #: Whether large files carry their sha256 as the hub's ETag does.
    tells_sha: bool = True
    #: What the hub says of the commit in place of the truth.
    commit: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, repository: str, revision: str, **files: bytes) -> None:
        """A new head of a repository; `weights_a` becomes `weights_a.safetensors`."""
        named = {f"{name}.safetensors": content for name, content in files.items()}
        self.repositories.setdefault(repository, {})[revision] = named
        self.heads[repository] = revision

    def upload(self, repository: str, revision: str, files: dict[str, bytes]) -> None:
        """A new head with files under their full names, in folders too."""
        self.repositories.setdefault(repository, {})[revision] = files
        self.heads[repository] = revision

    def break_off(self, faults: Sequence[str]) -> None:
        """The faults of the next requests for a file, each one of `FAULTS`."""
        assert set(faults) <= set(FAULTS)
        self.faults.extend(faults)

    def fetches(self, name: str) -> list[dict[str, str]]:
        """The headers of each request that reached the store of large files for a file."""
        return [headers for _, path, headers in self.asked if path.startswith("/store/") and path.endswith(name)]


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A hub that answers while the block runs."""
    hub = HubServer()

    class Handler(_Handler):
        hub_state = hub

    with serving(Handler) as port:
        hub.port = port
        yield hub


class _Handler(Loopback):
    hub_state: HubServer

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        hub, path = self.hub_state, urlsplit(self.path).path
        hub.asked.append(("GET", path, {name.lower(): value for name, value in self.headers.items()}))
        words = path.strip("/").split("/")
        if words[:2] == ["api", "models"]:
            self._head("/".join(words[2:4]), words[-1])
        elif len(words) >= 5 and words[2] == "resolve":
            self._resolve(f"{words[0]}/{words[1]}", words[3], "/".join(words[4:]))
        elif words[0] == "store":
            self._store(hub.repositories[f"{words[1]}/{words[2]}"][words[3]]["/".join(words[4:])])
        else:
            self.say(404, b"{}")

    def _head(self, repository: str, revision: str) -> None:
        """What the hub knows of a revision; as there, only large files have their hash, here those of 100 bytes and more."""
        hub = self.hub_state
        commit = hub.heads.get(repository, "") if revision == "main" else revision
        files = hub.repositories.get(repository, {}).get(commit)
        if files is None:
            self.say(404, b'{"error":"Repository not found"}')
            return
        listed = [_listed(name, content, tells=hub.tells_sha) for name, content in files.items()]
        self.say(200, json.dumps({"id": repository, "sha": commit, "siblings": listed}).encode())

    def _resolve(self, repository: str, revision: str, name: str) -> None:
        """A redirect to where the bytes lie, with what the hub knows of them."""
        hub = self.hub_state
        content = hub.repositories.get(repository, {}).get(revision, {}).get(name)
        if content is None:
            self.say(404, b"Entry not found")
            return
        tag = hashlib.sha256(content).hexdigest() if hub.tells_sha else "abc123"
        self.say(
            302,
            b"",
            Location=f"/store/{repository}/{revision}/{name}",
            X_Repo_Commit=hub.commit or revision,
            X_Linked_Etag=f'"{tag}"',
            X_Linked_Size=str(len(content)),
        )

    def _store(self, content: bytes) -> None:
        hub = self.hub_state
        fault = hub.faults.popleft() if hub.faults else None
        if fault == "busy":
            self.say(503, b"slow down")
            return
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        start = self._start(etag) if fault != "ignore-range" else 0
        if fault == "wrong-range":
            start //= 2
        if fault == "flip":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault == "short":
            content = content[:-7]
        if fault == "long":
            content += b"more"
        body, headers = content[start:], {"ETag": etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault == "hang":
            self.say(200, body, cut=True, **headers)
            # Nothing more comes until the other end is gone.
            self.rfile.read(1)
            return
        self.say(206 if start else 200, body, cut=fault == "cut", **headers)

    def _start(self, etag: str) -> int:
        asked = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        return int(asked) if asked.isdigit() and self.headers.get("If-Range") == etag else 0


def _listed(name: str, content: bytes, *, tells: bool) -> dict[str, Any]:
    large = {"lfs": {"sha256": hashlib.sha256(content).hexdigest()}} if tells and len(content) >= 100 else {}
    return {"rfilename": name, "size": len(content), **large}
