"""Users who are gone."""

import sqlalchemy as sa
from alembic import op

revision = "usage_0002"
down_revision = "usage_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table("usage_erased_users", sa.Column("user_id", sa.String(36), primary_key=True))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("usage_erased_users")
