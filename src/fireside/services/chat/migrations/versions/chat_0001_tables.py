"""Conversations, messages, the events of answers, feedback, words."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0001"
down_revision = None
branch_labels = ("chat",)
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _conversations()
    _messages()
    _of_messages()
    _words()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("item_words", "feedback", "answer_events", "messages", "conversation_tags", "conversations"):
        op.drop_table(table)


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_given", sa.Boolean, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("model", sa.String(200)),
        sa.Column("authors_note", sa.Text),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("active_message_id", sa.Uuid),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("deleted_at", _MOMENT),
    )
    op.create_index("conversations_of_owner", "conversations", ["owner_id", "pinned", "updated_at", "id"])
    _partial_index("conversations_deleted", "conversations", "deleted_at", "deleted_at IS NOT NULL")
    op.create_table(
        "conversation_tags",
        sa.Column("conversation_id", sa.Uuid, sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tag", sa.String(50), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_index("conversation_tags_tag", "conversation_tags", ["tag"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("conversation_id", sa.Uuid, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("context_only", sa.Boolean, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(16)),
        sa.Column("model", sa.String(200)),
        sa.Column("confidence", sa.Float),
        sa.Column("usage", sa.JSON, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT),
        sa.Column("stop_wished", sa.Boolean, nullable=False),
        sa.Column("lease_node", sa.String(200)),
        sa.Column("lease_boot", sa.Uuid),
        sa.Column("lease_until", _MOMENT),
    )
    op.create_index("messages_of_conversation", "messages", ["conversation_id", "position"], unique=True)
    op.create_index("messages_of_parent", "messages", ["parent_id"])
    _partial_index("messages_streaming", "messages", "owner_id", "state = 'streaming'")


def _of_messages() -> None:
    op.create_table(
        "answer_events",
        sa.Column("message_id", sa.Uuid, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("first_id", sa.Integer, primary_key=True),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("message_id", sa.Uuid, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("owner_id", sa.Uuid, primary_key=True),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )


def _words() -> None:
    op.create_table(
        "item_words",
        sa.Column("item_id", sa.Uuid, primary_key=True),
        sa.Column("conversation_id", sa.Uuid, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_index("item_words_of_owner", "item_words", ["owner_id", "created_at", "item_id"])
    op.create_index("item_words_of_conversation", "item_words", ["conversation_id"])


def _partial_index(name: str, table: str, column: str, condition: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
