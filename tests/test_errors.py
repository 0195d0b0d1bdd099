"""The catalogue of errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sottovoce import errors

CODES = errors.catalogue()


@pytest.mark.parametrize("code", CODES)
def test_every_code_answers_on_every_surface(code: str) -> None:
    kind = CODES[code]
    assert re.fullmatch(r"[A-Z_]+", code)
    assert 400 <= kind.http < 600
    assert kind.rpc < -32000 or kind.rpc == -32000
    assert kind.exit_code in (1, 2, 130)


def test_a_code_stands_for_the_class_that_is_raised_with_it() -> None:
    assert [CODES[code] for code in ("CORRUPT_MEDIA", "INVALID_PARAMETER", "TRACK_NOT_FOUND", "INTERNAL")] == [
        errors.CorruptMedia,
        errors.InvalidParameter,
        errors.TrackNotFound,
        errors.Internal,
    ]


def test_what_engines_derive_for_themselves_is_no_part_of_it() -> None:
    class Lost(errors.RemoteFailed):
        """An engine's own."""

    assert errors.catalogue()["REMOTE_FAILED"] is errors.RemoteFailed


def test_body_has_code_message_hint_and_details() -> None:
    error = errors.DiskFull("no space in /music", details={"needed": 5})
    assert error.as_dict() == {
        "code": "DISK_FULL",
        "message": "no space in /music",
        "hint": errors.DiskFull.cure,
        "details": {"needed": 5},
    }


def test_the_tree_drawn_at_the_top_names_every_class() -> None:
    drawing = (errors.__doc__ or "").split("A message says")[0]
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+\b", drawing)) - {"Every"}
    assert drawn == {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SottovoceError)
    }


def test_docs_list_every_code() -> None:
    page = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    assert not [code for code in CODES if f"`{code}`" not in page]
