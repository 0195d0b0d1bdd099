"""From the params of `generate` to a request, the backend that is to do it, and the id that the same request always has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sottovoce import errors
from sottovoce.daemon.backends import Backend, Backends
from sottovoce.daemon.queue import Wish
from sottovoce.engines.catalog import AUTO, parse_engine
from sottovoce.studio import Studio
from sottovoce.tasks.generate import Generate, resolved

#: Params and the fields of the request they are.
_FIELDS = {
    "prompt": "prompt",
    "duration_sec": "duration",
    "seed": "seed",
    "inference_steps": "steps",
    "guidance_scale": "guidance",
    "scheduler": "scheduler",
    "model": "model",
    "bpm": "bpm",
    "key": "key",
    "mood": "mood",
    "genre": "genre",
    "options": "options",
}
_PRIORITIES = ("normal", "high")
#: What is asked for where the params do not say.
_USUAL = {"prompt": "", "duration": 30.0}


@dataclass(frozen=True)
class Wishes:
    """Reads what `generate` is given, with the settings' values for what is left out."""

    studio: Studio
    backends: Backends

    def read(self, params: Mapping[str, Any]) -> Wish:
        """The wish; the error of the first param that is wrong, before anything is begun."""
        given = {name: value for name, value in params.items() if value is not None}
        _check_text(given)
        high = _priority(given.pop("priority", "normal")) == "high"
        asked = _text("backend", given.pop("backend", AUTO))
        request = self._request(given)
        backend = self.backends.chosen(asked, request)
        named = AUTO if parse_engine(asked) == AUTO else backend.engine.name
        request = resolved(request.model_copy(update={"engine": named}))
        return Wish(fingerprint(request, backend), request, backend.type, request.duration, high)

    def _request(self, given: Mapping[str, Any]) -> Generate:
        unknown = sorted(set(given) - set(_FIELDS))
        if unknown:
            raise errors.InvalidParameter(
                f"generate has no param {unknown[0][:80]!r}; there are {', '.join([*_FIELDS, 'backend', 'priority'])}"
            )
        fields = {**_USUAL, **{_FIELDS[name]: value for name, value in given.items()}, "versions": 1}
        return self.studio.request(Generate, fields, local=False)


def fingerprint(request: Generate, backend: Backend) -> str:
    """16 hexadecimal digits of engine, model, prompt, seed, length and every option; the same for the same."""
    told = {
        "request": request.model_dump(mode="json", exclude_defaults=True),
        "engine": backend.engine.name,
        "model": request.model or backend.model,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _check_text(given: Mapping[str, Any]) -> None:
    """The param's own error if there is half a surrogate pair in it: JSON can escape one, but no text holds it."""
    for name, value in given.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            refusal = errors.InvalidPrompt if name == "prompt" else errors.InvalidParameter
            raise refusal(f"{name.encode('ascii', 'replace').decode()} has half a surrogate pair in it") from None


def _priority(value: object) -> str:
    if value not in _PRIORITIES:
        raise errors.InvalidParameter("priority is normal or high")
    return str(value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise errors.InvalidBackend(f"{name} is the name of a backend; get_backends lists them")
    return value
