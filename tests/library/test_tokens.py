"""Tokens are known by their hash alone, and end at once when they are revoked, with the sessions they opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from sottovoce import errors
from sottovoce.database.connect import writing
from sottovoce.database.schema import sessions, tokens
from sottovoce.library.tokens import FROM_FILE, PREFIX, Tokens
from sottovoce.library.tracks import Library


@pytest.fixture
def known(library: Library) -> Tokens:
    return Tokens(library.database)


def test_a_token_is_known_by_its_secret_which_is_kept_nowhere(known: Tokens, library: Library) -> None:
    assert not known.exist()
    token, secret = known.create("laptop")
    assert known.exist()
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    assert (token.name, token.role, token.used) == ("laptop", "user", None)
    found = known.verify(secret)
    assert found is not None
    assert found.id == token.id
    assert not any(secret.encode() in path.read_bytes() for path in library.folder.iterdir() if path.is_file())


@pytest.mark.parametrize("wrong", ["", "sotto_", "x" * 5000, "\ud800", "\0", "' OR 1=1 --"])
def test_another_secret_is_not_known(known: Tokens, wrong: str) -> None:
    _, secret = known.create("laptop")
    assert known.verify(wrong) is None
    assert known.verify(secret[:-1]) is None
    assert known.session(wrong) is None
    assert known.session(secret) is None


def test_tokens_are_listed_by_name_with_their_last_use(known: Tokens) -> None:
    known.create("phone", admin=True)
    _, secret = known.create("laptop")
    assert known.verify(secret) is not None
    assert [(one.name, one.role, one.used is None) for one in known.list()] == [
        ("laptop", "user", False),
        ("phone", "admin", True),
    ]
    assert secret not in str([one.as_dict() for one in known.list()])


def test_use_is_noted_at_most_once_a_minute(known: Tokens, library: Library) -> None:
    token, secret = known.create("laptop")
    known.verify(secret)
    first = known.list()[0].used
    known.verify(secret)
    assert known.list()[0].used == first
    before = (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="microseconds")
    with writing(library.database) as connection:
        connection.execute(update(tokens).where(tokens.c.id == token.id).values(used=before))
    known.verify(secret)
    assert str(known.list()[0].used) > before


@pytest.mark.parametrize("name", ["", "a" * 65, "two words", "../x", "-x", "a\nb", "\ud800"])
def test_names_are_plain(known: Tokens, name: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="name"):
        known.create(name)


def test_a_name_is_given_once(known: Tokens) -> None:
    known.create("laptop")
    with pytest.raises(errors.InvalidParameter, match="already") as refused:
        known.create("laptop")
    assert "sotto token revoke laptop" in refused.value.hint
    assert len(known.list()) == 1


def test_a_revoked_token_is_gone_with_its_sessions(known: Tokens) -> None:
    token, secret = known.create("laptop")
    other, _ = known.create("phone")
    session, kept = known.open_session(token), known.open_session(other)
    assert known.session(session) == token
    assert known.revoke("laptop") == token
    assert known.verify(secret) is None
    assert known.session(session) is None
    assert known.session(kept) == other
    assert known.revoke(other.id) == other
    with pytest.raises(errors.InvalidParameter, match="no token"):
        known.revoke("laptop")


def test_a_session_ends_when_it_is_closed_or_its_time_is_over(known: Tokens, library: Library) -> None:
    token, _ = known.create("laptop")
    closed, old, open_ = (known.open_session(token) for _ in range(3))
    known.close_session(closed)
    known.close_session(closed)
    assert known.session(closed) is None
    assert known.session(old) == token
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="microseconds")
    with writing(library.database) as connection:
        connection.execute(update(sessions).values(expires=past))
    assert known.session(old) is None
    assert known.session(open_) is None


def test_the_token_of_a_file_is_an_administrator_and_replaces_the_one_before(known: Tokens) -> None:
    first = known.seed("a" * 32)
    session = known.open_session(first)
    assert (first.name, first.role) == (FROM_FILE, "admin")
    assert known.seed("a" * 32).id == first.id
    second = known.seed("b" * 32)
    assert second.id != first.id
    assert known.verify("a" * 32) is None
    assert known.session(session) is None
    assert len(known.list()) == 1


@pytest.mark.parametrize("secret", ["", "short", "a" * 31, "a" * 20 + " " + "b" * 20, "ä" * 40])
def test_a_weak_token_in_a_file_is_refused(known: Tokens, secret: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="token_file"):
        known.seed(secret)
    assert not known.exist()


def test_the_database_is_closed_to_others(known: Tokens, library: Library) -> None:
    known.create("laptop")
    assert (library.folder / "sotto.db").stat().st_mode & 0o077 == 0


def test_a_library_keeps_its_tokens(tmp_path: Path) -> None:
    first = Library.open(tmp_path / "other")
    _, secret = Tokens(first.database).create("laptop")
    first.close()
    again = Library.open(tmp_path / "other")
    assert Tokens(again.database).verify(secret) is not None
    again.close()
