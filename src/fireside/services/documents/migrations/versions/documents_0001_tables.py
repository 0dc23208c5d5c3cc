"""Collections, documents, texts, chunks, uploads, objects; the shared collection."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "documents_0001"
down_revision = None
branch_labels = ("documents",)
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_SHARED_ID = UUID("00000000-0000-7000-8000-000000000001")
_TABLES = ("objects", "uploads", "chunks", "document_texts", "documents", "collection_members", "collections")


def upgrade() -> None:
    """Make the tables and the collection that everyone reads."""
    _collections()
    _documents()
    _contents()
    _uploads()


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.drop_table(table)


def _collections() -> None:
    collections = op.create_table(
        "collections",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_index("collections_of_owner", "collections", ["owner_id", "name_key"], unique=True)
    op.create_table(
        "collection_members",
        sa.Column("collection_id", sa.Uuid, sa.ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("added_at", _MOMENT, nullable=False),
    )
    op.create_index("collection_members_user", "collection_members", ["user_id"])
    now = datetime.now(UTC)
    shared = {
        "id": _SHARED_ID,
        "kind": "shared",
        "name": "shared",
        "name_key": "shared",
        "description": "Everyone in the organisation reads it; editors and administrators write it.",
        "owner_id": None,
        "created_at": now,
        "updated_at": now,
    }
    op.bulk_insert(collections, [shared])


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("collection_id", sa.Uuid, nullable=False),
        sa.Column("path", sa.String(1024), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("reason_code", sa.String(100)),
        sa.Column("source_id", sa.Uuid),
        sa.Column("url", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("live_version", sa.Integer, nullable=False),
        sa.Column("embedded_chunks", sa.Integer, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("created_by", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("indexed_at", _MOMENT),
        sa.Column("deleted_at", _MOMENT),
    )
    present = sa.text("deleted_at IS NULL")
    op.create_index(
        "documents_path",
        "documents",
        ["collection_id", "path"],
        unique=True,
        sqlite_where=present,
        postgresql_where=present,
    )
    op.create_index("documents_collection", "documents", ["collection_id", "id"])
    op.create_index("documents_digest", "documents", ["digest"])
    op.create_index("documents_job", "documents", ["job_id"])


def _contents() -> None:
    op.create_table(
        "document_texts",
        sa.Column("document_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("document_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("heading", sa.Text),
        sa.Column("page", sa.Integer),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("chunks_order", "chunks", ["document_id", "version", "ordinal"], unique=True)


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("path", sa.String(1024), nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("refusal", sa.Text),
        sa.Column("refusal_code", sa.String(100)),
        sa.Column("title", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("source_id", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("uploads_digest", "uploads", ["digest"])
    op.create_index("uploads_created", "uploads", ["created_at"])
    op.create_table(
        "objects",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
    )
