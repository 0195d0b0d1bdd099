"""Tracks, their files, recipes, stems and tags, and full-text search over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEARCH = """
CREATE VIRTUAL TABLE tracks_fts USING fts5(title, words, tags, engine, mood, genre, tokenize = "unicode61 remove_diacritics 2", prefix = "2 3");

CREATE TRIGGER tracks_fts_insert AFTER INSERT ON tracks BEGIN
  INSERT INTO tracks_fts (rowid, title, words, tags, engine, mood, genre)
  VALUES (new.number, new.title, new.words, '', new.engine, new.mood, new.genre);
END;

CREATE TRIGGER tracks_fts_update AFTER UPDATE OF title, words, engine, mood, genre ON tracks BEGIN
  UPDATE tracks_fts SET title = new.title, words = new.words, engine = new.engine, mood = new.mood, genre = new.genre
  WHERE rowid = new.number;
END;

CREATE TRIGGER tracks_fts_delete AFTER DELETE ON tracks BEGIN
  DELETE FROM tracks_fts WHERE rowid = old.number;
END;

CREATE TRIGGER tags_fts_insert AFTER INSERT ON tags BEGIN
  UPDATE tracks_fts SET tags = (SELECT group_concat(name, ' ') FROM tags WHERE track = new.track) WHERE rowid = new.track;
END;

CREATE TRIGGER tags_fts_delete AFTER DELETE ON tags BEGIN
  UPDATE tracks_fts SET tags = (SELECT group_concat(name, ' ') FROM tags WHERE track = old.track) WHERE rowid = old.track;
END
"""


def upgrade() -> None:
    _create_files()
    _create_tracks()
    _create_parts()
    for statement in _SEARCH.split("\n\n"):
        op.execute(statement.strip())


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.String(120), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_files"),
        sa.UniqueConstraint("path", name="uq_files_path"),
    )


def _create_tracks() -> None:
    op.create_table(
        "tracks",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("engine", sa.String(60)),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("mood", sa.String(60)),
        sa.Column("genre", sa.String(60)),
        sa.Column("audio", sa.String(64), nullable=False),
        sa.Column("midi", sa.String(64)),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("lufs", sa.Float()),
        sa.Column("true_peak_db", sa.Float()),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("bpm", sa.Float()),
        sa.Column("key", sa.String(12)),
        sa.Column("rating", sa.Integer()),
        sa.Column("created", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_tracks"),
        sa.UniqueConstraint("id", name="uq_tracks_id"),
        sa.ForeignKeyConstraint(["audio"], ["files.sha256"], name="fk_tracks_audio"),
        sa.ForeignKeyConstraint(["midi"], ["files.sha256"], name="fk_tracks_midi"),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="ck_tracks_rating"),
    )
    op.create_index("ix_tracks_created", "tracks", ["created", "number"])
    op.create_index("ix_tracks_audio", "tracks", ["audio"])
    op.create_index("ix_tracks_midi", "tracks", ["midi"])


def _create_parts() -> None:
    op.create_table(
        "recipes",
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("track", name="pk_recipes"),
        sa.ForeignKeyConstraint(["track"], ["tracks.number"], name="fk_recipes_track", ondelete="CASCADE"),
    )
    op.create_table(
        "stems",
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(60), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("track", "engine", "name", name="pk_stems"),
        sa.ForeignKeyConstraint(["track"], ["tracks.number"], name="fk_stems_track", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["file"], ["files.sha256"], name="fk_stems_file"),
    )
    op.create_index("ix_stems_file", "stems", ["file"])
    op.create_table(
        "tags",
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("track", "name", name="pk_tags"),
        sa.ForeignKeyConstraint(["track"], ["tracks.number"], name="fk_tags_track", ondelete="CASCADE"),
    )
    op.create_index("ix_tags_name", "tags", ["name"])
