"""Providers of models that administrators manage, and the models of each role."""

import sqlalchemy as sa
from alembic import op

revision = "explore_0003"
down_revision = "explore_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_providers",
        sa.Column("name_key", sa.String(50), primary_key=True),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("key_end", sa.String(4), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "role_chains",
        sa.Column("role", sa.String(20), primary_key=True),
        sa.Column("models", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("role_chains", "model_providers"):
        op.drop_table(table)
