"""Which collections somebody may read, and which one they mean by a name."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.collections import PERSONAL, SHARED
from fireside.core.ids import CollectionId, UserId
from fireside.services.documents.errors import (
    AmbiguousCollectionError,
    CollectionNotFoundError,
    CollectionReadOnlyError,
    DocumentNotFoundError,
)
from fireside.services.documents.model import Asker, Collection, Document, personal_id
from fireside.services.documents.repository import collections, documents


async def readable_collections(session: AsyncSession, asker: Asker, *, now: datetime) -> list[Collection]:
    """The collections that the asker may read: shared, personal, then the named ones by name.

    The personal one is among them before it is stored, which happens when something is first added to it.
    """
    found = await collections.readable(session, asker)
    if asker.user_id is not None and not any(collection.kind == "personal" for collection in found):
        found.insert(1, personal_collection(asker.user_id, now=now))
    return found


def personal_collection(user_id: UserId, *, now: datetime) -> Collection:
    """A user's own collection, as it is when it is made."""
    return Collection(
        id=personal_id(user_id),
        kind="personal",
        name=PERSONAL,
        description="",
        owner_id=user_id,
        created_at=now,
        updated_at=now,
    )


async def resolve_collection(session: AsyncSession, asker: Asker, reference: str, *, now: datetime) -> Collection:
    """The collection that somebody means: by id, by name, as `shared` or as `personal`.

    Raises:
        CollectionNotFoundError: There is none that the asker may read.
        AmbiguousCollectionError: Several have this name.
    """
    readable = await readable_collections(session, asker, now=now)
    wanted = _as_id(reference) or reference.strip().casefold()
    matching = [collection for collection in readable if wanted in {collection.id, collection.name.casefold()}]
    if not matching:
        raise CollectionNotFoundError(f"there is no collection {reference!r}", collection=reference[:200])
    if len(matching) > 1:
        ids = [str(collection.id) for collection in matching]
        raise AmbiguousCollectionError(f"several collections are called {reference!r}; use an id", ids=ids)
    return matching[0]


async def target_collection(session: AsyncSession, asker: Asker, reference: str | None, *, now: datetime) -> Collection:
    """The collection that something shall be added to; by default shared for those who write there, else personal.

    Raises:
        CollectionNotFoundError: There is none that the asker may read.
        CollectionReadOnlyError: The asker may not write there.
    """
    default = SHARED if asker.writes_shared else PERSONAL
    collection = await resolve_collection(session, asker, reference or default, now=now)
    require_writable(collection, asker)
    return collection


def require_writable(collection: Collection, asker: Asker) -> None:
    """Pass when the asker may add and delete documents.

    Raises:
        CollectionReadOnlyError: They may only read.
    """
    if not collection.is_writable(asker):
        raise CollectionReadOnlyError(
            f"you may read the collection {collection.name!r}, but not change it", collection_id=str(collection.id)
        )


async def readable_document(session: AsyncSession, asker: Asker, document_id: UUID) -> tuple[Document, Collection]:
    """A document with its collection.

    Raises:
        DocumentNotFoundError: There is none that the asker may read.
    """
    document = await documents.find(session, document_id)
    collection = document and await _collection_of(session, document, asker)
    if document is None or collection is None:
        raise DocumentNotFoundError(document_id=str(document_id))
    return document, collection


async def _collection_of(session: AsyncSession, document: Document, asker: Asker) -> Collection | None:
    return await collections.find(session, CollectionId(document.collection_id), asker)


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
