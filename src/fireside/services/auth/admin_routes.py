"""`/api/v1/admin`: users, roles, permissions and invitations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from fireside.contracts import auth_admin
from fireside.contracts.auth import RoleName, UserView
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import USERS_MANAGE, route_access
from fireside.core.ids import UserId
from fireside.services.auth.caller import Caller

_NameInPath = Annotated[RoleName, Path()]


def routes() -> APIRouter:
    """Every route of the administration of users."""
    routes = APIRouter(prefix="/api/v1/admin", tags=["Users and roles"])
    extra = route_access(USERS_MANAGE)
    for method, path, function, status in (
        ("GET", "/users", list_users, 200),
        ("POST", "/users", create_user, 201),
        ("GET", "/users/{user_id}", get_user, 200),
        ("PATCH", "/users/{user_id}", update_user, 200),
        ("DELETE", "/users/{user_id}", delete_user, 204),
        ("POST", "/users/{user_id}/lock", lock_user, 200),
        ("POST", "/users/{user_id}/unlock", unlock_user, 200),
        ("GET", "/roles", list_roles, 200),
        ("POST", "/roles", create_role, 201),
        ("PATCH", "/roles/{name}", update_role, 200),
        ("DELETE", "/roles/{name}", delete_role, 204),
        ("GET", "/permissions", list_permissions, 200),
        ("GET", "/invitations", list_invitations, 200),
        ("POST", "/invitations", invite, 201),
        ("DELETE", "/invitations/{invitation_id}", delete_invitation, 204),
    ):
        routes.add_api_route(path, function, methods=[method], status_code=status, openapi_extra=extra)
    return routes


async def list_users(caller: Caller, query: Annotated[auth_admin.ListUsers, Query()]) -> auth_admin.UserPage:
    """List and search users, in order of address."""
    return await caller.call(auth_admin.LIST_USERS, query)


async def create_user(caller: Caller, body: auth_admin.CreateUser) -> UserView:
    """Make an account."""
    return await caller.call(auth_admin.CREATE_USER, body)


async def get_user(caller: Caller, user_id: UserId) -> UserView:
    """One user."""
    return await caller.call(auth_admin.GET_USER, auth_admin.UserRef(id=user_id))


async def update_user(caller: Caller, user_id: UserId, body: auth_admin.UserChanges) -> UserView:
    """Change name, role or password of a user. A role counts from the next request on; a password ends all sessions."""
    return await caller.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user_id, **body.model_dump()))


async def delete_user(caller: Caller, user_id: UserId) -> None:
    """Delete a user; what the user owned is erased."""
    await caller.call(auth_admin.DELETE_USER, auth_admin.UserRef(id=user_id))


async def lock_user(caller: Caller, user_id: UserId) -> UserView:
    """Lock a user out, at once."""
    return await caller.call(auth_admin.LOCK_USER, auth_admin.UserRef(id=user_id))


async def unlock_user(caller: Caller, user_id: UserId) -> UserView:
    """Let a user in again, and forget wrong passwords."""
    return await caller.call(auth_admin.UNLOCK_USER, auth_admin.UserRef(id=user_id))


async def list_roles(caller: Caller) -> auth_admin.RoleList:
    """Every role."""
    return await caller.call(auth_admin.LIST_ROLES, Nothing())


async def create_role(caller: Caller, body: auth_admin.SaveRole) -> auth_admin.RoleView:
    """Make a role."""
    return await caller.call(auth_admin.CREATE_ROLE, body)


async def update_role(caller: Caller, name: _NameInPath, body: auth_admin.RoleContent) -> auth_admin.RoleView:
    """Change a role; counts from the next request on."""
    return await caller.call(auth_admin.UPDATE_ROLE, auth_admin.SaveRole(name=name, **body.model_dump()))


async def delete_role(caller: Caller, name: _NameInPath) -> None:
    """Delete a role that nobody has."""
    await caller.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name=name))


async def list_permissions(caller: Caller) -> auth_admin.PermissionList:
    """Every permission, and what it allows."""
    return await caller.call(auth_admin.LIST_PERMISSIONS, Nothing())


async def list_invitations(caller: Caller) -> auth_admin.InvitationList:
    """The open invitations."""
    return await caller.call(auth_admin.LIST_INVITATIONS, Nothing())


async def invite(caller: Caller, body: auth_admin.Invite) -> auth_admin.CreatedInvitation:
    """Invite someone; the token is shown this once."""
    return await caller.call(auth_admin.INVITE, body)


async def delete_invitation(caller: Caller, invitation_id: UUID) -> None:
    """Take an invitation back."""
    await caller.call(auth_admin.DELETE_INVITATION, auth_admin.InvitationRef(id=invitation_id))
