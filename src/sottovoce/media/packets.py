"""The packets of a foreign file, taken out and decoded with a little damage forgiven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from sottovoce.errors import CorruptMedia
from sottovoce.media.container import corrupt, reading

#: So many packets may be damaged whatever the length of the file, and beyond them this share.
DAMAGE_ALLOWED, DAMAGE_SHARE = 20, 0.05


def packets(container: InputContainer, streams: Sequence[Stream], path: Path) -> Iterator[Packet[Any]]:
    """The packets of some streams, and at last an empty one each that flushes its decoder; CorruptMedia where the container breaks off."""
    found = container.demux(*streams)
    while True:
        with reading(path):
            try:
                packet = next(found, None)
            except IndexError:
                # When all is read, PyAV stumbles over streams that began late (MPEG-TS, FLV).
                return
        if packet is None:
            return
        yield packet


class Decoder:
    """Decodes packets one by one; a damaged one gives no frames and is counted, until there are too many (CorruptMedia)."""

    def __init__(self, path: Path) -> None:
        self.damaged = 0
        self._taken = 0
        self._path = path

    def frames(self, packet: Packet[Any]) -> list[Any]:
        """What a packet decodes to: frames of sound or pictures, as its stream is."""
        self._taken += 1
        try:
            with reading(self._path):
                return list(packet.decode())
        except CorruptMedia:
            self.damaged += 1
            if self.damaged > DAMAGE_ALLOWED and self.damaged > DAMAGE_SHARE * self._taken:
                raise corrupt(self._path, f"has {self.damaged} damaged packets among its first {self._taken}") from None
            return []
