"""Tracks that were deleted and can still be restored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tracks", sa.Column("trashed", sa.String(32)))
    op.create_index("ix_tracks_trashed", "tracks", ["trashed"], sqlite_where=sa.text("trashed IS NOT NULL"))
