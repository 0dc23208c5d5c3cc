"""Responses kept for clients of OpenAI's Responses API."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0002"
down_revision = "chat_0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "stored_responses",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("previous_id", sa.Uuid),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
    )
    op.create_index("stored_responses_owner", "stored_responses", ["owner_id"])
    op.create_index("stored_responses_expiry", "stored_responses", ["expires_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("stored_responses")
