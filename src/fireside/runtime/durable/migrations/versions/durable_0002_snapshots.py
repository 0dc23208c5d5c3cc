"""Snapshots of what facts have made."""

import sqlalchemy as sa
from alembic import op

revision = "durable_0002"
down_revision = "durable_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "durable_snapshots",
        sa.Column("aggregate_id", sa.Uuid, primary_key=True),
        sa.Column(
            "aggregate_version",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("durable_snapshots")
