"""Coming in with a browser: a token is shown once, and a cookie stands for it until the session ends."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import Field
from starlette.responses import Response

from sottovoce import errors
from sottovoce.library.tokens import SESSION_DAYS
from sottovoce.server.access import COOKIE
from sottovoce.server.answers import Json
from sottovoce.server.asked import Fields, HouseHere

router = APIRouter(tags=["sessions"])


class Login(Fields):
    """A token."""

    token: Annotated[str, Field(max_length=1000)]


@router.post("/login")
def login(body: Annotated[Login, Body()], request: Request, house: HouseHere) -> Json:
    """Begin a session with a token; its cookie is out of reach of scripts and of other sites."""
    tokens = house.access.tokens
    token = tokens.verify(body.token.strip())
    if token is None:
        raise errors.Unauthorized("this token is not known here", hint="`sotto token create NAME` makes one.")
    answer = Json({"name": token.name, "role": token.role})
    answer.set_cookie(
        COOKIE,
        tokens.open_session(token),
        max_age=SESSION_DAYS * 86_400,
        httponly=True,
        samesite="strict",
        secure=house.access.secure(request),
    )
    return answer


@router.post("/logout")
def logout(request: Request, house: HouseHere) -> Response:
    """End the session of this browser."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        house.access.tokens.close_session(cookie)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=house.access.secure(request))
    return answer
