"""The tables of the library, portable between SQLite and Postgres; migrations make them, a test compares both.

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

#: One row a track. `number` counts up and breaks ties when paging; `created` is ISO 8601 in UTC with microseconds.
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
    CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
    Index("ix_tracks_created", "created", "number"),
    Index("ix_tracks_audio", "audio"),
    Index("ix_tracks_midi", "midi"),
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
