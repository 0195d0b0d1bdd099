"""Who may come in over HTTP: tokens, and the sessions of browsers that have shown one. Only hashes of them are kept.

A token is 32 random bytes, so a plain SHA-256 of it cannot be guessed back; slow hashes are for passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from sottovoce import errors
from sottovoce.database.connect import reading, writing
from sottovoce.database.schema import preferences, sessions, tokens
from sottovoce.database.schema import secrets as owned_secrets

Role = Literal["admin", "user"]

PREFIX = "sotto_"
#: The name of the token that `server.token_file` holds.
FROM_FILE = "token-file"
SESSION_DAYS = 30
#: When a token was last used is noted no more often than this.
_NOTED_SECONDS = 60.0
_SHORTEST = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Token:
    """What is known of a token; times are ISO 8601 in UTC, `used` is None for one that nobody has come with yet."""

    id: str
    name: str
    role: Role
    created: str
    used: str | None

    def as_dict(self) -> dict[str, Any]:
        """What surfaces show, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Tokens:
    """The tokens and sessions in a library's database."""

    database: Engine

    def create(self, name: str, *, admin: bool = False) -> tuple[Token, str]:
        """A new token and its secret, which is never shown again; InvalidParameter for a name that is taken or no name."""
        secret = PREFIX + secrets.token_urlsafe(32)
        return self._keep(_clean(name), secret, "admin" if admin else "user"), secret

    def seed(self, secret: str) -> Token:
        """The admin whose token a file holds; another token that came from the file before goes, with its sessions."""
        if len(secret) < _SHORTEST or not secret.isascii() or any(sign.isspace() for sign in secret):
            raise errors.InvalidParameter(
                f"the token in server.token_file must have {_SHORTEST} characters or more, and no spaces",
                hint="Make one: `openssl rand -hex 32`.",
            )
        known = self.verify(secret)
        if known is not None:
            return known
        with writing(self.database) as connection:
            connection.execute(delete(tokens).where(tokens.c.name == FROM_FILE))
        return self._keep(FROM_FILE, secret, "admin")

    def exist(self) -> bool:
        """Whether there is any token."""
        with reading(self.database) as connection:
            return connection.scalar(select(tokens.c.id).limit(1)) is not None

    def list(self) -> tuple[Token, ...]:
        """Every token, by name."""
        with reading(self.database) as connection:
            return tuple(_token(row) for row in connection.execute(_tokens().order_by(tokens.c.name)).mappings())

    def verify(self, secret: str) -> Token | None:
        """The token with that secret; None if there is none."""
        digest = _digest(secret)
        found = self._found(_tokens(tokens.c.sha256).where(tokens.c.sha256 == digest), digest)
        return None if found is None else self._noted(found)

    def revoke(self, name: str) -> Token:
        """Forget a token, by name or id, and end its sessions; InvalidParameter if there is none."""
        with writing(self.database) as connection:
            named = or_(tokens.c.name == name, tokens.c.id == name)
            row = connection.execute(_tokens().where(named)).mappings().first()
            if row is None:
                raise errors.InvalidParameter(f"no token is called {name!r}", hint="`sotto token list` shows them.")
            connection.execute(delete(tokens).where(tokens.c.id == row["id"]))
            for own in (preferences, owned_secrets):
                connection.execute(delete(own).where(own.c.owner == row["id"]))
        return _token(row)

    def open_session(self, token: Token) -> str:
        """The secret of a new session of a token, for a cookie. Sessions whose time is over go by the way."""
        secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
        with writing(self.database) as connection:
            connection.execute(delete(sessions).where(sessions.c.expires <= _text(now)))
            connection.execute(
                insert(sessions).values(
                    sha256=_digest(secret),
                    token=token.id,
                    created=_text(now),
                    expires=_text(now + timedelta(days=SESSION_DAYS)),
                )
            )
        return secret

    def session(self, secret: str) -> Token | None:
        """The token of an open session; None if it has ended."""
        digest = _digest(secret)
        chosen = _tokens(sessions.c.sha256).join(sessions, sessions.c.token == tokens.c.id)
        still = sessions.c.expires > _text(datetime.now(UTC))
        return self._found(chosen.where(sessions.c.sha256 == digest, still), digest)

    def close_session(self, secret: str) -> None:
        """End a session; one that is not there is no error."""
        with writing(self.database) as connection:
            connection.execute(delete(sessions).where(sessions.c.sha256 == _digest(secret)))

    def _found(self, chosen: Select[Any], digest: str) -> Token | None:
        with reading(self.database) as connection:
            row = connection.execute(chosen).mappings().first()
        return _token(row) if row is not None and hmac.compare_digest(row["sha256"], digest) else None

    def _keep(self, name: str, secret: str, role: Role) -> Token:
        token = Token(secrets.token_hex(8), name, role, _text(datetime.now(UTC)), None)
        with writing(self.database) as connection:
            _insert(connection, token, _digest(secret))
        return token

    def _noted(self, token: Token) -> Token:
        now = datetime.now(UTC)
        if token.used is None or now - datetime.fromisoformat(token.used) > timedelta(seconds=_NOTED_SECONDS):
            with writing(self.database) as connection:
                connection.execute(update(tokens).where(tokens.c.id == token.id).values(used=_text(now)))
        return token


def _insert(connection: Connection, token: Token, digest: str) -> None:
    try:
        connection.execute(insert(tokens).values(**asdict(token), sha256=digest))
    except IntegrityError:
        raise errors.InvalidParameter(
            f"there is a token called {token.name!r} already",
            hint=f"Choose another name, or first `sotto token revoke {token.name}`.",
        ) from None


def _tokens(*more: ColumnElement[Any]) -> Select[Any]:
    return select(tokens.c.id, tokens.c.name, tokens.c.role, tokens.c.created, tokens.c.used, *more)


def _token(row: RowMapping) -> Token:
    return Token(row["id"], row["name"], row["role"], row["created"], row["used"])


def _clean(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise errors.InvalidParameter(
            f"{name!r} cannot name a token", hint="Use 1 to 64 letters, digits and . _ @ -, such as laptop."
        )
    return name


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
