"""How models are run, and what they are made for."""

import sqlalchemy as sa
from alembic import op

revision = "explore_0002"
down_revision = "explore_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("model_rules", sa.Column("run", sa.Text))
    op.add_column("installed_models", sa.Column("kind", sa.String(16), nullable=False, server_default="chat"))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("installed_models", "kind")
    op.drop_column("model_rules", "run")
