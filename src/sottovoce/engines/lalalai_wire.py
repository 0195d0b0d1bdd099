"""The wire of lalal.ai, API v1: every call a POST, its errors in our words, and the key sent to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

from sottovoce import errors
from sottovoce.engines.remote import BUSY

if TYPE_CHECKING:
    import httpx

BASE_URL = "https://www.lalal.ai"
#: Seconds between two checks; 30 a minute are allowed, for everyone who has the same key together.
CHECK_SECONDS = 5.0
_TRIES = 6
#: After 429, which comes without Retry-After.
_LIMITED_SECONDS = 15.0
_KINDS: Mapping[str, type[errors.SottovoceError]] = {
    "exceeded_duration": errors.QuotaExceeded,
    "exceeded_size": errors.FileTooLarge,
    "max_duration": errors.AudioTooLong,
}
#: The code of an error on their side, after which the same request, with the same key, is to be sent again.
_THEIRS = "internal_error"
KEY_USED = "idempotency_key_used"
_KEY_HINT = "Set LALALAI_API_KEY to the key of a lalal.ai plan with API access."


class Unanswered(errors.RemoteFailed):
    """No usable answer, after as many tries as there are."""


class Api:
    """lalal.ai under one key; use it as a context."""

    def __init__(self, key: str, *, base_url: str = BASE_URL) -> None:
        self.base_url = base_url
        self._key = key

    def __enter__(self) -> Self:
        import httpx

        self._client = httpx.Client(
            base_url=self.base_url,
            headers={"X-License-Key": self._key, "User-Agent": "sottovoce"},
            timeout=httpx.Timeout(60, connect=10),
            follow_redirects=False,
        )
        #: For results: it knows no key.
        self.results = httpx.Client(timeout=httpx.Timeout(60, connect=10), follow_redirects=False)
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()
        self.results.close()

    def upload(
        self, pieces: Callable[[], Iterator[bytes]], size: int, name: str, pause: Callable[[float], None]
    ) -> dict[str, Any]:
        """Send a file; `{id, size, duration, expires}`. `pieces` is called anew for each try."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
        }
        return self._post("/api/v1/upload/", pause, lambda: {"content": pieces(), "headers": headers})

    def split(self, source: str, presets: Mapping[str, Any], key: str, pause: Callable[[float], None]) -> str:
        """Have a stem made; the task's id. The same key never starts a second task."""
        body = {"source_id": source, "presets": dict(presets), "idempotency_key": key}
        return str(self._post("/api/v1/split/stem_separator/", pause, lambda: {"json": body})["task_id"])

    def check(self, tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What became of tasks, in one call and one try; Unanswered if it is to be asked again."""
        answer = self._post("/api/v1/check/", None, lambda: {"json": {"task_ids": list(tasks)}})
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    def cancel(self, tasks: Sequence[str]) -> dict[str, bool]:
        """Stop tasks; which of them were."""
        answer = self._post("/api/v1/cancel/", None, lambda: {"json": {"task_ids": list(tasks)}})
        result = answer.get("result") or {}
        return {task: result.get(task, {}).get("status") == "success" for task in tasks}

    def delete(self, source: str) -> None:
        """Have a file that was uploaded removed, and its tasks stopped."""
        self._post("/api/v1/delete/", None, lambda: {"json": {"source_id": source}})

    def minutes_left(self, pause: Callable[[float], None] | None = None) -> float:
        """How many minutes are paid for."""
        return float(self._post("/api/v1/limits/minutes_left/", pause, lambda: {"json": {}})["minutes_left"])

    def _post(
        self, path: str, pause: Callable[[float], None] | None, content: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """A call, tried again where that can help; without `pause`, tried once."""
        import httpx

        for attempt in range(_TRIES if pause else 1):
            wait = min(30.0, 2.0**attempt)
            try:
                answer = self._client.post(path, **content())
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                body = _object(answer)
                if answer.status_code == 200 and body is not None:
                    return body
                if answer.status_code not in BUSY and answer.status_code != 200 and (body or {}).get("code") != _THEIRS:
                    self._refuse(answer, body or {})
                reason = f"it answered {answer.status_code}{_request(answer)}"
                wait = max(wait, _LIMITED_SECONDS) if answer.status_code == 429 else wait
            if pause:
                pause(wait)
        raise Unanswered(f"lalal.ai could not be asked: {self._hidden(reason)}", hint="Try again later.")

    def _refuse(self, answer: httpx.Response, body: Mapping[str, Any]) -> NoReturn:
        code, detail = str(body.get("code") or ""), self._hidden(str(body.get("detail") or "no reason given"))
        facts = {"code": code, "status": answer.status_code, "request_id": answer.headers.get("x-request-id")}
        if answer.status_code in (401, 403):
            raise errors.RemoteFailed(f"lalal.ai refused the key: {detail}", hint=_KEY_HINT, details=facts)
        kind = errors.QuotaExceeded if answer.status_code == 402 else _KINDS.get(code, errors.RemoteFailed)
        raise kind(f"lalal.ai refused: {detail}{_request(answer)}", details=facts)

    def _hidden(self, text: str) -> str:
        """Their words, without the key should it stand in them."""
        return text.replace(self._key, "(key)")


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of an answer; None for anything else, such as a proxy's page."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _request(answer: httpx.Response) -> str:
    name = answer.headers.get("x-request-id")
    return f" (request {name})" if name else ""
