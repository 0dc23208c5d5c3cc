"""`/api/v1/collections`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from fireside.contracts import collections
from fireside.core.ids import UserId
from fireside.services.documents.routes.caller import Cursor, Limit, access_of, caller

CollectionKey = Annotated[str, Path(max_length=200, description="`shared`, `personal`, or a collection's name or id.")]


class CollectionChanges(BaseModel):
    """What to change about a collection; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    description: str | None = Field(default=None, max_length=1000)


class Membership(BaseModel):
    """What a member may do."""

    role: Literal["reader", "writer"] = "reader"


def routes() -> APIRouter:
    """The routes of collections."""
    routes = APIRouter(prefix="/collections", tags=["Collections"])
    one, members = "/{collection}", "/{collection}/members"
    routes.get("", openapi_extra=access_of(collections.LIST))(list_collections)
    routes.post("", status_code=201, openapi_extra=access_of(collections.CREATE))(create_collection)
    routes.get(one, openapi_extra=access_of(collections.GET))(get_collection)
    routes.patch(one, openapi_extra=access_of(collections.PATCH))(patch_collection)
    routes.delete(one, status_code=204, openapi_extra=access_of(collections.DELETE))(delete_collection)
    routes.get(members, openapi_extra=access_of(collections.MEMBERS))(list_members)
    routes.put(members + "/{user_id}", openapi_extra=access_of(collections.PUT_MEMBER))(put_member)
    routes.delete(members + "/{user_id}", status_code=204, openapi_extra=access_of(collections.REMOVE_MEMBER))(
        remove_member
    )
    return routes


async def list_collections(request: Request, limit: Limit = 20, cursor: Cursor = None) -> collections.CollectionPage:
    """The collections you may read: shared, personal, then the named ones by name."""
    return await caller(request).call(collections.LIST, collections.ListCollections(limit=limit, cursor=cursor))


async def create_collection(request: Request, body: collections.CreateCollection) -> collections.CollectionView:
    """Make a named collection, open to nobody but you until you add members."""
    return await caller(request).call(collections.CREATE, body)


async def get_collection(request: Request, collection: CollectionKey) -> collections.CollectionView:
    """One collection."""
    return await caller(request).call(collections.GET, collections.CollectionRef(collection=collection))


async def patch_collection(
    request: Request, collection: CollectionKey, body: CollectionChanges
) -> collections.CollectionView:
    """Rename or describe a collection of yours."""
    wanted = collections.PatchCollection(collection=collection, **body.model_dump())
    return await caller(request).call(collections.PATCH, wanted)


async def delete_collection(request: Request, collection: CollectionKey) -> Response:
    """Delete a collection of yours with all documents in it."""
    await caller(request).call(collections.DELETE, collections.CollectionRef(collection=collection))
    return Response(status_code=204)


async def list_members(request: Request, collection: CollectionKey) -> collections.Members:
    """Who else may read a collection, and who may write."""
    return await caller(request).call(collections.MEMBERS, collections.CollectionRef(collection=collection))


async def put_member(
    request: Request, collection: CollectionKey, user_id: UserId, body: Membership
) -> collections.Member:
    """Open a collection of yours to somebody, or change what they may do."""
    wanted = collections.PutMember(collection=collection, user_id=user_id, role=body.role)
    return await caller(request).call(collections.PUT_MEMBER, wanted)


async def remove_member(request: Request, collection: CollectionKey, user_id: UserId) -> Response:
    """Close a collection to somebody; you may also take yourself out of another's."""
    wanted = collections.MemberRef(collection=collection, user_id=user_id)
    await caller(request).call(collections.REMOVE_MEMBER, wanted)
    return Response(status_code=204)
