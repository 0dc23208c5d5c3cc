"""Installed models, their files, rules about models, paused installations."""

import sqlalchemy as sa
from alembic import op

revision = "explore_0001"
down_revision = None
branch_labels = ("explore",)
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _models()
    op.create_table(
        "model_files",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "model_rules",
        sa.Column("name_key", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("roles", sa.Text),
        sa.Column("tags", sa.Text),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_table("paused_installs", sa.Column("job_id", sa.Uuid, primary_key=True))


def downgrade() -> None:
    """Drop the tables."""
    for table in ("paused_installs", "model_rules", "model_files", "installed_models"):
        op.drop_table(table)


def _models() -> None:
    op.create_table(
        "installed_models",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("architecture", sa.String(200), nullable=False),
        sa.Column("family", sa.String(200), nullable=False),
        sa.Column("quantisation", sa.String(20)),
        sa.Column("parameters", sa.BigInteger, nullable=False),
        sa.Column("context_tokens", sa.Integer),
        sa.Column("kv_bytes_per_token", sa.BigInteger),
        sa.Column("answer_style", sa.String(16), nullable=False),
        sa.Column("licence", sa.Text),
        sa.Column("languages", sa.Text, nullable=False),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("installed_by", sa.Uuid),
        sa.Column("installed_at", _MOMENT, nullable=False),
    )
    op.create_index("installed_models_name", "installed_models", ["name_key"], unique=True)
    op.create_index("installed_models_digest", "installed_models", ["digest"])
