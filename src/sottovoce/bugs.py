"""What nobody foresaw: its trace goes to the log, its id to whoever asked."""

from __future__ import annotations

import sys
import traceback
import uuid

from sottovoce.errors import DiskFull, Internal, SottovoceError


def bug(error: Exception) -> SottovoceError:
    """An error that nobody foresaw, as one of ours: its trace goes to the log file, its id into the message."""
    if isinstance(error, OSError) and error.errno == 28:
        return DiskFull(f"the disk is full: {error.filename or 'no file named'}")
    name = uuid.uuid4().hex[:8]
    trace = "".join(traceback.format_exception(error))
    try:
        place = _write_log(name, trace)
    except OSError as unwritable:
        sys.stderr.write(f"no log file can be written: {unwritable}\n{trace}")
        place = "standard error"
    return Internal(
        f"this is a bug: {type(error).__name__}: {error}",
        hint=f"Please report it with the log entry {name} in {place}.",
        details={"log_id": name},
    )


def _write_log(name: str, trace: str) -> str:
    from platformdirs import user_log_path

    path = user_log_path("sottovoce", ensure_exists=True) / "sotto.log"
    with path.open("a", encoding="utf-8") as log:
        log.write(f"--- {name}\n{trace}\n")
    return str(path)
