"""Where documents live, and who may read and write them there. Offered by the documents service.

- `shared`: everyone who may read documents reads it; who may write to shared knowledge writes it.
- `personal`: its owner's alone.
- named ones: their owner's and their members'; to others they do not exist.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from fireside.contracts.base import Action, Contract, Nothing
from fireside.contracts.permissions import COLLECTIONS_WRITE, DOCUMENTS_READ
from fireside.core.ids import CollectionId, UserId

CollectionKind = Literal["shared", "personal", "named"]
MemberRole = Literal["reader", "writer"]

SHARED = "shared"
"""The name of the collection that everyone reads."""
PERSONAL = "personal"
"""What everyone calls their own collection."""


class CollectionView(Contract):
    """A collection as those see it who may read it; `may_write` and `may_manage` are the caller's."""

    id: CollectionId
    kind: CollectionKind
    name: str
    description: str = ""
    owner_id: UserId | None = None
    document_count: int = 0
    may_write: bool = False
    may_manage: bool = False
    created_at: datetime
    updated_at: datetime


class ListCollections(Contract):
    """The collections that the caller may read: shared, personal, then the named ones by name."""

    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=100)


class CollectionPage(Contract):
    """Collections; `next_cursor` is None on the last page."""

    items: tuple[CollectionView, ...] = ()
    next_cursor: str | None = None


class CreateCollection(Contract):
    """Make a named collection; the caller becomes its owner."""

    name: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=1000)


class CollectionRef(Contract):
    """Which collection is meant: its id, its name, `shared` or `personal`."""

    collection: str


class PatchCollection(Contract):
    """Rename or describe a named collection; None leaves a field as it is."""

    collection: str
    name: str | None = Field(default=None, min_length=1, max_length=100)
    description: str | None = Field(default=None, max_length=1000)


class Member(Contract):
    """A user to whom a named collection is open."""

    user_id: UserId
    role: MemberRole
    added_at: datetime


class Members(Contract):
    """The members of a collection, in the order they were added."""

    items: tuple[Member, ...] = ()


class PutMember(Contract):
    """Open a named collection to a user, or change the role."""

    collection: str
    user_id: UserId
    role: MemberRole = "reader"


class MemberRef(Contract):
    """Which membership is meant."""

    collection: str
    user_id: UserId


LIST: Action[ListCollections, CollectionPage] = Action(
    "documents.collections.list", ListCollections, CollectionPage, access=DOCUMENTS_READ, idempotent=True
)
GET: Action[CollectionRef, CollectionView] = Action(
    "documents.collections.get", CollectionRef, CollectionView, access=DOCUMENTS_READ, idempotent=True
)
CREATE: Action[CreateCollection, CollectionView] = Action(
    "documents.collections.create", CreateCollection, CollectionView, access=COLLECTIONS_WRITE
)
PATCH: Action[PatchCollection, CollectionView] = Action(
    "documents.collections.patch", PatchCollection, CollectionView, access=COLLECTIONS_WRITE, idempotent=True
)
DELETE: Action[CollectionRef, Nothing] = Action(
    "documents.collections.delete", CollectionRef, Nothing, access=COLLECTIONS_WRITE
)
MEMBERS: Action[CollectionRef, Members] = Action(
    "documents.collections.members", CollectionRef, Members, access=DOCUMENTS_READ, idempotent=True
)
PUT_MEMBER: Action[PutMember, Member] = Action(
    "documents.collections.put_member", PutMember, Member, access=COLLECTIONS_WRITE, idempotent=True
)
REMOVE_MEMBER: Action[MemberRef, Nothing] = Action(
    "documents.collections.remove_member", MemberRef, Nothing, access=DOCUMENTS_READ
)
