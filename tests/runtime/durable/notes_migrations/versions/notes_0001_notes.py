"""Notes."""

import sqlalchemy as sa
from alembic import op

revision = "notes_0001"
down_revision = None
branch_labels = ("notes",)


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("text", sa.Text, nullable=False, unique=True),
        sa.Column("written_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("notes")
