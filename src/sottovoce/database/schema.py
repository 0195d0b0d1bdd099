"""The tables of the library and of its jobs, portable between SQLite and Postgres; migrations make them, a test compares both.

Full-text search stands in the migrations alone: on SQLite it is the virtual table `tracks_fts`, kept by triggers.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

#: Files of the library by the SHA-256 of their bytes; `path` is relative to its folder.
files = Table(
    "files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("path", String(120), nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
)

#: One row a track. `number` counts up and breaks ties when paging; `created` is ISO 8601 in UTC with microseconds, and so is `trashed`, which
#: says since when the track is in the trash.
tracks = Table(
    "tracks",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("title", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("engine", String(60)),
    Column("words", Text, nullable=False),
    Column("mood", String(60)),
    Column("genre", String(60)),
    Column("audio", ForeignKey("files.sha256"), nullable=False),
    Column("midi", ForeignKey("files.sha256")),
    Column("seconds", Float, nullable=False),
    Column("rate", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("lufs", Float),
    Column("true_peak_db", Float),
    Column("seed", BigInteger),
    Column("bpm", Float),
    Column("key", String(12)),
    Column("rating", Integer),
    Column("created", String(32), nullable=False),
    Column("trashed", String(32)),
    CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
    Index("ix_tracks_created", "created", "number"),
    Index("ix_tracks_audio", "audio"),
    Index("ix_tracks_midi", "midi"),
    # Of the few in the trash alone: lists, which leave those out, go by their own order.
    Index("ix_tracks_trashed", "trashed", sqlite_where=text("trashed IS NOT NULL")),
)

#: How a track was made, as JSON; apart from `tracks`, so that lists stay small.
recipes = Table(
    "recipes",
    metadata,
    Column("track", ForeignKey("tracks.number", ondelete="CASCADE"), primary_key=True),
    Column("json", Text, nullable=False),
)

#: Stems of a track, by the engine that made them: its own generator's, or a separator's.
stems = Table(
    "stems",
    metadata,
    Column("track", ForeignKey("tracks.number", ondelete="CASCADE"), primary_key=True),
    Column("engine", String(60), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("file", ForeignKey("files.sha256"), nullable=False),
    Index("ix_stems_file", "file"),
)

tags = Table(
    "tags",
    metadata,
    Column("track", ForeignKey("tracks.number", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Index("ix_tags_name", "name"),
)

#: What is to be done, is being done and was done. `number` counts up; `owner` is a token's id, empty for this machine's own user; `key` is the
#: caller's Idempotency-Key and `digest` the hash of the request it came with. Of jobs that wait, the lowest `rank` goes first, then the
#: lowest `number`. JSON: `request`, `error`, `result`.
jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("lane", String(12), nullable=False),
    Column("rank", Integer),
    Column("state", String(10), nullable=False),
    Column("request", Text, nullable=False),
    Column("key", String(255)),
    Column("digest", String(64), nullable=False),
    Column("percent", Float, nullable=False),
    Column("stage", String(60)),
    Column("step", Integer),
    Column("total", Integer),
    Column("eta", Float),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(120)),
    Column("error", Text),
    Column("result", Text),
    Column("created", String(32), nullable=False),
    Column("started", String(32)),
    Column("ended", String(32)),
    UniqueConstraint("owner", "key", name="uq_jobs_owner_key"),
    Index("ix_jobs_state", "state", "lane", "number"),
    Index("ix_jobs_owner", "owner", "number"),
)

#: What happened to jobs, in order: `seq` counts up over all of them, so that a listener knows what it has not seen.
job_events = Table(
    "job_events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("job", ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("json", Text, nullable=False),
    Index("ix_job_events_job", "job", "seq"),
    sqlite_autoincrement=True,
)

#: Who may come in over HTTP: the token itself is never kept, only its hash.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(8), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created", String(32), nullable=False),
    Column("used", String(32)),
)

#: Browsers that have shown a token; they go with it.
sessions = Table(
    "sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("token", ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("created", String(32), nullable=False),
    Column("expires", String(32), nullable=False),
    Index("ix_sessions_token", "token"),
)

#: Files that came in over HTTP, kept in `uploads/` under their id until nothing needs them.
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("rate", Integer),
    Column("channels", Integer),
    Column("created", String(32), nullable=False),
    Index("ix_uploads_created", "created"),
)

#: What owners set for their own requests, by dotted key of the settings; `owner` as in `jobs`.
preferences = Table(
    "preferences",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("json", Text, nullable=False),
)

#: Keys of remote engines that belong to an owner; never shown, never in a recipe or a log.
secrets = Table(
    "secrets",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("value", Text, nullable=False),
)
