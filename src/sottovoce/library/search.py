"""Finding tracks: words in any of their texts, filters, orders, and pages that stay right while tracks are added."""

from __future__ import annotations

import base64
import json
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import ColumnElement, Select, func, or_, select, text, tuple_

from sottovoce import errors
from sottovoce.database.schema import tags, tracks
from sottovoce.library.rows import KEPT
from sottovoce.library.track import Track, clean_tag
from sottovoce.prompt import parse_key

MOST = 500

Order = Literal["newest", "oldest", "title", "rating", "longest", "shortest", "fastest", "slowest"]

#: What each order sorts by, and whether the largest comes first. Tracks of which it is not known come last.
_ORDERS: dict[Order, tuple[ColumnElement[Any], bool]] = {
    "newest": (tracks.c.created, True),
    "oldest": (tracks.c.created, False),
    "title": (func.lower(tracks.c.title), False),
    "rating": (func.coalesce(tracks.c.rating, 0), True),
    "longest": (tracks.c.seconds, True),
    "shortest": (tracks.c.seconds, False),
    "fastest": (func.coalesce(tracks.c.bpm, 0.0), True),
    "slowest": (func.coalesce(tracks.c.bpm, 1e9), False),
}
#: Scripts written without spaces between words, which the index cannot split.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"[^\W_]+")


class Query(BaseModel):
    """What to look for; without anything, every track. `after` is the `after` of the page before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[
        str, Field(description="words that all stand in title, prompt, tags, engine, mood or genre; beginnings count")
    ] = ""
    tags: Annotated[
        tuple[Annotated[str, AfterValidator(clean_tag)], ...], Field(description="tags it has, all of them")
    ] = ()
    engine: Annotated[str | None, Field(description="the engine that made it")] = None
    kind: Annotated[str | None, Field(description="how it came here: generate, score, import")] = None
    min_rating: Annotated[int | None, Field(ge=1, le=5, description="at least so many stars, 1 to 5")] = None
    min_bpm: Annotated[float | None, Field(ge=0, description="at least this tempo")] = None
    max_bpm: Annotated[float | None, Field(ge=0, description="at most this tempo")] = None
    min_seconds: Annotated[float | None, Field(ge=0, description="at least this long")] = None
    max_seconds: Annotated[float | None, Field(ge=0, description="at most this long")] = None
    key: Annotated[
        str | None, AfterValidator(lambda key: key and str(parse_key(key))), Field(description="key, such as 'A minor'")
    ] = None
    sort: Annotated[Order, Field(description="what comes first")] = "newest"
    limit: Annotated[int, Field(ge=1, le=MOST, description="at most so many")] = 50
    after: Annotated[str | None, Field(description="go on after this page")] = None


@dataclass(frozen=True)
class Page:
    """Some of the tracks found, in order; `after` asks for the next ones and is None at the end."""

    tracks: tuple[Track, ...]
    after: str | None


def parse_query(fields: Mapping[str, Any]) -> Query:
    """A query from loose fields; InvalidParameter names the field and its range."""
    try:
        return Query.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise errors.InvalidParameter(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def statement(query: Query) -> Select[Any]:
    """The rows of `tracks` a query finds, none of the trash, in order, one more than its limit: the last only tells that there are more."""
    expression, descending = _ORDERS[query.sort]
    chosen = select(tracks, expression.label("place")).where(KEPT, *_filters(query))
    if query.after is not None:
        chosen = chosen.where(_beyond(query.after, expression, descending=descending))
    columns = (expression, tracks.c.number)
    return chosen.order_by(*(column.desc() if descending else column.asc() for column in columns)).limit(
        query.limit + 1
    )


def cursor(place: object, number: int) -> str:
    """The `after` of a page whose last row has this place in the order and this number."""
    return base64.urlsafe_b64encode(json.dumps([place, number]).encode()).decode().rstrip("=")


def _beyond(after: str, expression: ColumnElement[Any], *, descending: bool) -> ColumnElement[bool]:
    try:
        place, number = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        here, there = tuple_(expression, tracks.c.number), tuple_(_scalar(place), _scalar(number))
    except (ValueError, TypeError, OverflowError):
        raise errors.InvalidParameter(
            "after: not a place in a list", hint="Take it from the page before, unchanged."
        ) from None
    return here < there if descending else here > there


def _scalar(place: object) -> str | int | float:
    """What SQLite can compare with; TypeError or OverflowError for anything else."""
    if isinstance(place, int) and place.bit_length() > 63:
        raise OverflowError(place)
    if isinstance(place, str | int | float):
        return place
    raise TypeError(place)


def _filters(query: Query) -> list[ColumnElement[bool]]:
    column = tracks.c
    bounds: list[tuple[ColumnElement[Any], Callable[[Any, Any], Any], object]] = [
        (column.engine, operator.eq, query.engine),
        (column.kind, operator.eq, query.kind),
        (column.key, operator.eq, query.key),
        (column.rating, operator.ge, query.min_rating),
        (column.bpm, operator.ge, query.min_bpm),
        (column.bpm, operator.le, query.max_bpm),
        (column.seconds, operator.ge, query.min_seconds),
        (column.seconds, operator.le, query.max_seconds),
    ]
    chosen = [compare(known, value) for known, compare, value in bounds if value is not None]
    chosen += [column.number.in_(select(tags.c.track).where(tags.c.name == tag)) for tag in query.tags]
    return [*chosen, *_text_filters(query.text)]


def _text_filters(words: str) -> list[ColumnElement[bool]]:
    """Words by the index; what the index cannot split (unspaced scripts, signs) as a piece of text."""
    indexed, pieces = [], []
    plain = words.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    for chunk in unicodedata.normalize("NFC", plain).split():
        found = _WORD.findall(chunk)
        if found and not _UNSPACED.search(chunk):
            indexed += found
        else:
            pieces.append(chunk)
    filters: list[ColumnElement[bool]] = [_contains(piece) for piece in pieces]
    if indexed:
        match = " AND ".join(f'"{word}"*' for word in indexed)
        filters.append(
            tracks.c.number.in_(
                text("SELECT rowid FROM tracks_fts WHERE tracks_fts MATCH :match").bindparams(match=match)
            )
        )
    return filters


def _contains(piece: str) -> ColumnElement[bool]:
    tagged = select(tags.c.track).where(tags.c.name.contains(piece, autoescape=True))
    return or_(
        tracks.c.title.contains(piece, autoescape=True),
        tracks.c.words.contains(piece, autoescape=True),
        tracks.c.number.in_(tagged),
    )
