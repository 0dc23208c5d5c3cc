"""The tables of chat. Queries stand in `reading` and `repository`."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    text,
)

from fireside.runtime.durable.types import UtcDateTime

metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("title", Text, nullable=False),
    Column("title_given", Boolean, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("model", String(200)),
    Column("authors_note", Text),
    Column("pinned", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("active_message_id", Uuid),
    Column("message_count", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Index("conversations_of_owner", "owner_id", "pinned", "updated_at", "id"),
    Index(
        "conversations_deleted",
        "deleted_at",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
)
"""Conversations; `title_given` tells a title someone chose from one made by rule."""

conversation_tags = Table(
    "conversation_tags",
    metadata,
    Column("conversation_id", Uuid, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(50), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("conversation_tags_tag", "tag"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("parent_id", Uuid),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("context_only", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("mode", String(16)),
    Column("model", String(200)),
    Column("confidence", Float),
    Column("usage", JSON, nullable=False),
    Column("details", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("stop_wished", Boolean, nullable=False),
    Column("lease_node", String(200)),
    Column("lease_boot", Uuid),
    Column("lease_until", UtcDateTime),
    Index("messages_of_conversation", "conversation_id", "position", unique=True),
    Index("messages_of_parent", "parent_id"),
    Index(
        "messages_streaming",
        "owner_id",
        sqlite_where=text("state = 'streaming'"),
        postgresql_where=text("state = 'streaming'"),
    ),
)
"""Messages, a tree by `parent_id`; a lease stands on answers that are being written."""

answer_events = Table(
    "answer_events",
    metadata,
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("first_id", Integer, primary_key=True),
    Column("last_id", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
"""The event log of each answer: a row a batch while it is written, one row once it is finished."""

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", Uuid, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("owner_id", Uuid, primary_key=True),
    Column("rating", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Ratings, one a user and answer."""

item_words = Table(
    "item_words",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("words", Text, nullable=False),
    Index("item_words_of_owner", "owner_id", "created_at", "item_id"),
    Index("item_words_of_conversation", "conversation_id"),
)
"""What is found by which words: an item is a message, or a conversation's title under the conversation's id.

`words` holds each folded word once, a space before each.
"""

stored_responses = Table(
    "stored_responses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("previous_id", Uuid),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("stored_responses_owner", "owner_id"),
    Index("stored_responses_expiry", "expires_at"),
)
"""Answers of the Responses API with their input, sealed; `previous_id` may name one that is gone."""

erased_owners = Table("erased_owners", metadata, Column("owner_id", Uuid, primary_key=True))
"""Users who are gone: an answer that ends later is not kept."""
