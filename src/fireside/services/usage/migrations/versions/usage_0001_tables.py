"""Sums of usage by hour, and the batches that were added."""

import sqlalchemy as sa
from alembic import op

revision = "usage_0001"
down_revision = None
branch_labels = ("usage",)
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_nano", "estimated", "unpriced")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "usage_hours",
        sa.Column("hour", _MOMENT, primary_key=True),
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("api_key_id", sa.String(36), primary_key=True),
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("roles", sa.String(500), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    op.create_index("usage_hours_of_user", "usage_hours", ["user_id", "hour"])
    op.create_table(
        "usage_batches",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("usage_batches_at", "usage_batches", ["at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("usage_batches")
    op.drop_table("usage_hours")
