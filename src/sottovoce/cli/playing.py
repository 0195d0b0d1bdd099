"""Playing a file with whatever player the system has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sottovoce.errors import BackendNotInstalled, OutputNotWritable

#: Players in the order they are looked for, with their options.
PLAYERS: Mapping[str, tuple[str, ...]] = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "mpv": ("--no-video", "--really-quiet"),
    "pw-play": (),
    "paplay": (),
    "afplay": (),
    "aplay": ("--quiet",),
}
#: Those that know nothing but WAV.
_WAV_ONLY = frozenset({"aplay"})


def play_file(path: Path, convert: Callable[[Path], object]) -> str:
    """Play a file to its end and name the player; `convert` writes the sound to a WAV file for those that know nothing else.

    BackendNotInstalled if there is no player, OutputNotWritable if it fails.
    """
    player = next((name for name in PLAYERS if shutil.which(name)), None)
    if player is None:
        raise BackendNotInstalled(
            f"no player was found (looked for {', '.join(PLAYERS)})",
            hint="Install one, for example `sudo apt install mpv`, or export the track and open it yourself.",
        )
    if player not in _WAV_ONLY:
        _run(player, path)
        return player
    with tempfile.TemporaryDirectory(prefix="sotto-") as folder:
        plain = Path(folder) / "track.wav"
        convert(plain)
        _run(player, plain)
    return player


def _run(player: str, path: Path) -> None:
    command = [player, *PLAYERS[player], str(path)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - a player of our list, a file of the library
    if ended.returncode != 0:
        reason = ended.stderr.strip() or f"it ended with {ended.returncode}"
        raise OutputNotWritable(
            f"{player} could not play it: {reason}", hint="Check the sound device, or export the track."
        )
