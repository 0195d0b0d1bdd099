"""Places in the queue that can be changed; each owner's own settings and secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: Between the lanes lies more than any job can be moved.
_RANKS = {"interactive": 1_000_000_000, "batch": 2_000_000_000}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rank", sa.Integer()))
    for lane, rank in _RANKS.items():
        op.execute(f"UPDATE jobs SET rank = {rank} WHERE lane = '{lane}'")  # noqa: S608 - our own words
    op.create_table(
        "preferences",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_preferences"),
    )
    op.create_table(
        "secrets",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_secrets"),
    )
