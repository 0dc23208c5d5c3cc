"""The tables of accounts, sessions, keys and roles. Queries stand in `repository`."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Uuid

from fireside.runtime.durable import UtcDateTime

metadata = MetaData()

users = Table(
    "auth_users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("role", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("password_hash", String(500)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_sign_in_at", UtcDateTime),
    Index("auth_users_role", "role"),
)

sessions = Table(
    "auth_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("auth_users.id", ondelete="CASCADE"), nullable=False),
    Column("family_hash", LargeBinary(32), nullable=False),
    Column("refresh_hash", LargeBinary(32), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("address", String(100), nullable=False),
    Column("user_agent", String(300), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("auth_sessions_user", "user_id", "last_used_at"),
    Index("auth_sessions_expiry", "expires_at"),
)
"""Where users are signed in. The index by user keeps one user's list fast however many sessions others have."""

api_keys = Table(
    "auth_api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("auth_users.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("prefix", String(40), nullable=False, unique=True),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("scopes", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Index("auth_api_keys_user", "user_id", "created_at"),
)

roles = Table(
    "auth_roles",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("description", String(500), nullable=False),
    Column("permissions", JSON, nullable=False),
)
"""The roles that administrators added; those at start stand in the code."""

one_time_tokens = Table(
    "auth_one_time_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("email", String(254), nullable=False),
    Column("role", String(40), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("auth_one_time_tokens_purpose", "purpose", "created_at"),
)

sign_in_attempts = Table(
    "auth_sign_in_attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("locked_until", UtcDateTime),
    Index("auth_sign_in_attempts_account", "account"),
    Index("auth_sign_in_attempts_last", "last_at"),
)

signing_keys = Table(
    "auth_signing_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sealed_private_jwk", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)
"""Keys of access tokens, each sealed for the place `auth.signing_keys:<id>`."""
