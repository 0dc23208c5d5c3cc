"""Collections: making, naming, opening to others, deleting."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.collections import (
    PERSONAL,
    SHARED,
    CollectionPage,
    CollectionView,
    CreateCollection,
    ListCollections,
    Member,
    MemberRef,
    Members,
    PatchCollection,
    PutMember,
)
from fireside.core.clock import Clock
from fireside.core.errors import InvalidInputError
from fireside.core.ids import CollectionId, new_id
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.documents.access import readable_collections, resolve_collection
from fireside.services.documents.cursors import after_number, number_of
from fireside.services.documents.deleting import Deleting
from fireside.services.documents.errors import (
    BuiltInCollectionError,
    CollectionNameTakenError,
    CollectionReadOnlyError,
    MemberNotFoundError,
)
from fireside.services.documents.model import Asker, Collection
from fireside.services.documents.repository import collections, documents
from fireside.services.documents.views import collection_view

_RESERVED = frozenset({SHARED, PERSONAL})


@dataclass(frozen=True, slots=True)
class Managing:
    """Manages collections for those who may."""

    database: Database
    deleting: Deleting
    clock: Clock

    async def page(self, context: Context, request: ListCollections) -> CollectionPage:
        """The collections that the caller may read.

        Raises:
            InvalidCursorError: The cursor is not one of a page.
        """
        asker, first = Asker.of(context.identity), 0 if request.cursor is None else number_of(request.cursor)
        async with self.database.read() as session:
            found = await readable_collections(session, asker, now=self.clock.now())
            views = await _views(session, found[first : first + request.limit], asker)
        end = first + request.limit
        return CollectionPage(items=tuple(views), next_cursor=after_number(end) if len(found) > end else None)

    async def get(self, context: Context, reference: str) -> CollectionView:
        """One collection.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
        """
        asker = Asker.of(context.identity)
        async with self.database.read() as session:
            collection = await resolve_collection(session, asker, reference, now=self.clock.now())
            return (await _views(session, [collection], asker))[0]

    async def create(self, context: Context, request: CreateCollection) -> CollectionView:
        """Make a named collection.

        Raises:
            InvalidInputError: The name is blank or reserved.
            CollectionNameTakenError: The caller has one of this name.
        """
        asker, now = Asker.of(context.identity), self.clock.now()
        collection = Collection(
            id=CollectionId(new_id()),
            kind="named",
            name=_checked_name(request.name),
            description=request.description.strip(),
            owner_id=context.identity.require_user(),
            created_at=now,
            updated_at=now,
        )
        try:
            async with self.database.transaction(context) as unit:
                await collections.add(unit.session, collection)
        except IntegrityError as error:
            raise CollectionNameTakenError(f"you have a collection {collection.name!r}") from error
        return collection_view(collection, asker, document_count=0)

    async def patch(self, context: Context, request: PatchCollection) -> CollectionView:
        """Rename or describe a collection.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: It is another's.
            BuiltInCollectionError: It is the shared or a personal one.
            CollectionNameTakenError: The caller has another one of this name.
        """
        asker = Asker.of(context.identity)
        try:
            async with self.database.transaction(context) as unit:
                before = await self._manageable(unit.session, asker, request.collection)
                collection = replace(
                    before,
                    name=before.name if request.name is None else _checked_name(request.name),
                    description=before.description if request.description is None else request.description.strip(),
                    updated_at=self.clock.now(),
                )
                await collections.save(unit.session, collection)
                return (await _views(unit.session, [collection], asker))[0]
        except IntegrityError as error:
            raise CollectionNameTakenError(f"you have a collection {request.name!r}") from error

    async def delete(self, context: Context, reference: str) -> None:
        """Delete a collection with all documents in it.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: It is another's.
            BuiltInCollectionError: It is the shared or a personal one.
        """
        asker = Asker.of(context.identity)
        async with self.database.transaction(context) as unit:
            collection = await self._manageable(unit.session, asker, reference)
            await collections.lock(unit.session, collection.id)
            await self.deleting.bury_all(unit, await documents.ids_in(unit.session, [collection.id]))
            await collections.remove(unit.session, [collection.id])

    async def members(self, context: Context, reference: str) -> Members:
        """The members of a collection, for everyone who may read it.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
        """
        async with self.database.read() as session:
            collection = await resolve_collection(session, Asker.of(context.identity), reference, now=self.clock.now())
            return Members(items=tuple(await collections.members(session, collection.id)))

    async def put_member(self, context: Context, request: PutMember) -> Member:
        """Open a collection to a user, or change the role.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: It is another's.
            BuiltInCollectionError: It is the shared or a personal one.
        """
        asker, now = Asker.of(context.identity), self.clock.now()
        async with self.database.transaction(context) as unit:
            collection = await self._manageable(unit.session, asker, request.collection)
            if request.user_id == collection.owner_id:
                raise InvalidInputError("user_id: the owner needs no membership")
            await collections.put_member(unit.session, collection.id, request.user_id, role=request.role, now=now)
            present = await collections.members(unit.session, collection.id)
        return next(member for member in present if member.user_id == request.user_id)

    async def remove_member(self, context: Context, request: MemberRef) -> None:
        """Close a collection to a user. Members may take themselves out.

        Raises:
            CollectionNotFoundError: There is none that the caller may read.
            CollectionReadOnlyError: It is another's.
            BuiltInCollectionError: It is the shared or a personal one.
            MemberNotFoundError: The user is no member.
        """
        asker = Asker.of(context.identity)
        async with self.database.transaction(context) as unit:
            if request.user_id == asker.user_id:
                now = self.clock.now()
                collection = await resolve_collection(unit.session, asker, request.collection, now=now)
            else:
                collection = await self._manageable(unit.session, asker, request.collection)
            if not await collections.remove_member(unit.session, collection.id, request.user_id):
                raise MemberNotFoundError(user_id=str(request.user_id))

    async def _manageable(self, session: AsyncSession, asker: Asker, reference: str) -> Collection:
        collection = await resolve_collection(session, asker, reference, now=self.clock.now())
        if collection.kind != "named":
            raise BuiltInCollectionError(f"the {collection.kind} collection stays as it is")
        if not collection.is_manageable(asker):
            raise CollectionReadOnlyError(f"the collection {collection.name!r} is managed by its owner")
        return collection


async def _views(session: AsyncSession, found: Sequence[Collection], asker: Asker) -> list[CollectionView]:
    counts = await collections.document_counts(session, [collection.id for collection in found])
    return [collection_view(collection, asker, document_count=counts.get(collection.id, 0)) for collection in found]


def _checked_name(name: str) -> str:
    tidy = " ".join(name.split())
    if not tidy or tidy.casefold() in _RESERVED:
        raise InvalidInputError(f"name: {name!r} cannot be the name of a collection", field="name")
    return tidy
