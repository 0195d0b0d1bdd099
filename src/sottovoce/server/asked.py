"""What routes are given of a request: the studio, who asks, and text that can be kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from sottovoce import errors
from sottovoce.library.renditions import Renditions
from sottovoce.server.access import Access, Caller
from sottovoce.server.events import Hub
from sottovoce.server.limits import Slots
from sottovoce.studio import Studio

#: A request is flat; engines' own options may be a little deeper.
_DEEPEST = 20


class Fields(BaseModel):
    """Base of bodies and queries: unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class House:
    """What the routes of one server share. `receiving` and `decoding` keep uploads and heavy reading from taking every thread."""

    studio: Studio
    access: Access
    hub: Hub
    renditions: Renditions
    receiving: Slots = field(default_factory=lambda: Slots(8))
    decoding: Slots = field(default_factory=lambda: Slots(2, wait=20.0))


async def _house(request: Request) -> House:
    return cast("House", request.app.state.house)


async def _caller(request: Request) -> Caller:
    caller = request.scope["caller"]
    assert isinstance(caller, Caller), "the gate lets nobody else through to these routes"
    return caller


async def _studio(request: Request) -> Studio:
    return cast("House", request.app.state.house).studio


async def _admin(request: Request) -> Caller:
    caller = await _caller(request)
    if caller.role != "admin":
        raise errors.Forbidden(
            "this is for administrators", hint="`sotto token create NAME --admin` makes a token for one."
        )
    return caller


HouseHere = Annotated[House, Depends(_house)]
StudioHere = Annotated[Studio, Depends(_studio)]
Asker = Annotated[Caller, Depends(_caller)]
Admin = Annotated[Caller, Depends(_admin)]


def check_text(value: Any) -> None:
    """InvalidParameter for what no file and no database can keep: half characters (lone surrogates), and lists in lists without end."""
    if not all(_is_whole(text) for text in texts(value)):
        raise errors.InvalidParameter("the request has text that is no Unicode (half a surrogate pair)")


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too; InvalidParameter if it is nested too deeply."""
    level = [value]
    for _ in range(_DEEPEST):
        yield from (item for item in level if isinstance(item, str))
        yield from (key for item in level if isinstance(item, dict) for key in item)
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise errors.InvalidParameter(f"the request is nested more than {_DEEPEST} levels deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
