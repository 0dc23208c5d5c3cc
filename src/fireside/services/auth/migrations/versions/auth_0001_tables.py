"""Accounts, sessions, keys, roles, one-time links, attempts, signing keys."""

import sqlalchemy as sa
from alembic import op

revision = "auth_0001"
down_revision = None
branch_labels = ("auth",)
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_TABLES = ("signing_keys", "sign_in_attempts", "one_time_tokens", "roles", "api_keys", "sessions", "users")


def upgrade() -> None:
    """Make the tables."""
    _users()
    _sessions()
    _api_keys()
    _roles_and_links()
    _attempts_and_signing_keys()


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.drop_table(f"auth_{table}")


def _users() -> None:
    op.create_table(
        "auth_users",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(500)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_sign_in_at", _MOMENT),
    )
    op.create_index("auth_users_role", "auth_users", ["role"])


def _sessions() -> None:
    op.create_table(
        "auth_sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("family_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("address", sa.String(100), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
    )
    op.create_index("auth_sessions_user", "auth_sessions", ["user_id", "last_used_at"])
    op.create_index("auth_sessions_expiry", "auth_sessions", ["expires_at"])


def _api_keys() -> None:
    op.create_table(
        "auth_api_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("auth_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("prefix", sa.String(40), nullable=False, unique=True),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("last_used_at", _MOMENT),
    )
    op.create_index("auth_api_keys_user", "auth_api_keys", ["user_id", "created_at"])


def _roles_and_links() -> None:
    op.create_table(
        "auth_roles",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False, unique=True),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
    )
    op.create_table(
        "auth_one_time_tokens",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
    )
    op.create_index("auth_one_time_tokens_purpose", "auth_one_time_tokens", ["purpose", "created_at"])


def _attempts_and_signing_keys() -> None:
    op.create_table(
        "auth_sign_in_attempts",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", _MOMENT, nullable=False),
        sa.Column("locked_until", _MOMENT),
    )
    op.create_index("auth_sign_in_attempts_account", "auth_sign_in_attempts", ["account"])
    op.create_index("auth_sign_in_attempts_last", "auth_sign_in_attempts", ["last_at"])
    op.create_table(
        "auth_signing_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("sealed_private_jwk", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("retired_at", _MOMENT),
    )
