"""The tables of the usage service. Queries stand in `repository`."""

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table

from fireside.runtime.durable import UtcDateTime

metadata = MetaData()

hours = Table(
    "usage_hours",
    metadata,
    Column("hour", UtcDateTime, primary_key=True),
    Column("user_id", String(36), primary_key=True),
    Column("api_key_id", String(36), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("roles", String(500), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    Index("usage_hours_of_user", "user_id", "hour"),
)
"""Sums of one hour. Empty texts stand for none, `erased` for users who are gone; roles are joined by commas."""

erased_users = Table("usage_erased_users", metadata, Column("user_id", String(36), primary_key=True))
"""Ids of users who are gone: what is told of them late is stored without them."""

batches = Table(
    "usage_batches",
    metadata,
    Column("batch", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Index("usage_batches_at", "at"),
)
"""Batches that were added a short while ago, so that one that comes again is known."""
