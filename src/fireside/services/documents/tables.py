"""The tables of the documents service. Queries stand in `repository`."""

from sqlalchemy import (
    BigInteger,
    Column,
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

from fireside.runtime.durable import UtcDateTime

metadata = MetaData()

collections = Table(
    "collections",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    Column("name_key", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("owner_id", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("collections_of_owner", "owner_id", "name_key", unique=True),
)
"""Places where documents live; `name_key` is the name without case, unique among its owner's."""

collection_members = Table(
    "collection_members",
    metadata,
    Column("collection_id", Uuid, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Index("collection_members_user", "user_id"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("collection_id", Uuid, nullable=False),
    Column("path", String(1024), nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("reason_code", String(100)),
    Column("source_id", Uuid),
    Column("url", Text),
    Column("version", Integer, nullable=False),
    Column("live_version", Integer, nullable=False),
    Column("embedded_chunks", Integer, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("job_id", Uuid),
    Column("created_by", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("indexed_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Index(
        "documents_path",
        "collection_id",
        "path",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("documents_collection", "collection_id", "id"),
    Index("documents_digest", "digest"),
    Index("documents_job", "job_id"),
)
"""Files. A deleted one stays, hidden, until its chunks are out of the index and its bytes are released."""

texts = Table(
    "document_texts",
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
"""What a version of a document says, sealed."""

chunks = Table(
    "chunks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("document_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading", Text),
    Column("page", Integer),
    Column("body", LargeBinary, nullable=False),
    Index("chunks_order", "document_id", "version", "ordinal", unique=True),
)
"""Passages, sealed. Written before they enter the index, so that everything in the index is known here."""

uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid),
    Column("path", String(1024), nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("refusal", Text),
    Column("refusal_code", String(100)),
    Column("title", Text),
    Column("url", Text),
    Column("source_id", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uploads_digest", "digest"),
    Index("uploads_created", "created_at"),
)
"""Files that were received and not added yet."""

index_writing = Table(
    "index_writing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("wanted", String(300)),
)
"""One row: the epoch that writers of the search index must know, and the embedding model that was asked for last."""

objects = Table(
    "objects",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
)
"""Stored bytes that something refers to ("kept"), or that are about to be erased ("doomed")."""
