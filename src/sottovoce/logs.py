"""Logs: one line an event on standard error, `key=value` throughout, so that people read them and programs search them."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

#: What a caller may add with `extra`, in the order in which it is written.
_FIELDS = ("job", "worker", "code")
_PLAIN = re.compile(r"[\w.:/@+-]+")
#: They tell of every request with its address, where a key or a name may stand.
_CHATTY = ("alembic", "httpx", "httpcore", "dbos", "multipart", "python_multipart")


class Lines(logging.Formatter):
    """A record as one line: time in UTC, level, whose it is, what is said; a trace follows in lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {"time": time, "level": record.levelname.lower()}
        fields |= {name: str(vars(record)[name]) for name in _FIELDS if vars(record).get(name) is not None}
        return " ".join(f"{name}={_value(text)}" for name, text in {**fields, "message": record.message}.items())


def log_to_stderr() -> None:
    """Have this process log there."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _value(text: str) -> str:
    """A word as it is, anything else quoted, so that nothing in it can look like a line or a field of its own."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
