"""Users who are gone."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0003"
down_revision = "chat_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table("erased_owners", sa.Column("owner_id", sa.Uuid, primary_key=True))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("erased_owners")
