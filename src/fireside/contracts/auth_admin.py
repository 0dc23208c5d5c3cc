"""What the auth service offers administrators: users, roles and invitations."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from fireside.contracts.auth import ONE_LINE, Email, Name, Password, RoleName, UserState, UserView
from fireside.contracts.base import Action, Contract, Nothing
from fireside.contracts.permissions import USERS_MANAGE
from fireside.core.ids import UserId


class UserRef(Contract):
    """A user."""

    id: UserId


class ListUsers(Contract):
    """Which users to list, in order of address; `query` is a part of the address or name."""

    query: str = Field(default="", max_length=200, pattern=ONE_LINE)
    role: RoleName | None = None
    state: UserState | None = None
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=1_000)


class UserPage(Contract):
    """Some users, and where to go on."""

    items: tuple[UserView, ...]
    next_cursor: str | None = None


class CreateUser(Contract):
    """An account made by an administrator."""

    email: Email
    password: Password = Field(repr=False)
    name: Name
    role: RoleName = "user"


class UserChanges(Contract):
    """What an administrator changes about an account; None leaves it. A new password ends its sessions."""

    name: Name | None = None
    role: RoleName | None = None
    password: Password | None = Field(default=None, repr=False)


class UpdateUser(UserChanges):
    """Whose account to change, and what about it."""

    id: UserId


class RoleView(Contract):
    """A role; those at start are `builtin` and fixed."""

    name: str
    description: str
    permissions: tuple[str, ...]
    builtin: bool


class RoleList(Contract):
    """All roles, in order of name."""

    items: tuple[RoleView, ...]
    next_cursor: str | None = None


class RoleRef(Contract):
    """A role."""

    name: RoleName


class RoleContent(Contract):
    """What a role is for, and what it allows."""

    description: str = Field(default="", max_length=500, pattern=ONE_LINE)
    permissions: tuple[str, ...] = Field(max_length=100)


class SaveRole(RoleContent):
    """A role to make or to change."""

    name: RoleName


class PermissionView(Contract):
    """A permission and what it allows."""

    name: str
    description: str


class PermissionList(Contract):
    """Every permission there is, in order of name."""

    items: tuple[PermissionView, ...]
    next_cursor: str | None = None


class Invite(Contract):
    """Someone to invite: the account will have this address and role."""

    email: Email
    role: RoleName = "user"


class InvitationView(Contract):
    """An invitation that was not used yet."""

    id: UUID
    email: str
    role: str
    created_at: datetime
    expires_at: datetime


class CreatedInvitation(InvitationView):
    """An invitation just made, with its token: shown this once."""

    token: str = Field(repr=False)


class InvitationList(Contract):
    """The open invitations, newest first."""

    items: tuple[InvitationView, ...]
    next_cursor: str | None = None


class InvitationRef(Contract):
    """An invitation."""

    id: UUID


LIST_USERS = Action("auth.list_users", ListUsers, UserPage, access=USERS_MANAGE, idempotent=True)
GET_USER = Action("auth.get_user", UserRef, UserView, access=USERS_MANAGE, idempotent=True)
CREATE_USER = Action("auth.create_user", CreateUser, UserView, access=USERS_MANAGE)
UPDATE_USER = Action("auth.update_user", UpdateUser, UserView, access=USERS_MANAGE, idempotent=True)
LOCK_USER = Action("auth.lock_user", UserRef, UserView, access=USERS_MANAGE, idempotent=True)
UNLOCK_USER = Action("auth.unlock_user", UserRef, UserView, access=USERS_MANAGE, idempotent=True)
DELETE_USER = Action("auth.delete_user", UserRef, Nothing, access=USERS_MANAGE)
LIST_ROLES = Action("auth.list_roles", Nothing, RoleList, access=USERS_MANAGE, idempotent=True)
CREATE_ROLE = Action("auth.create_role", SaveRole, RoleView, access=USERS_MANAGE)
UPDATE_ROLE = Action("auth.update_role", SaveRole, RoleView, access=USERS_MANAGE, idempotent=True)
DELETE_ROLE = Action("auth.delete_role", RoleRef, Nothing, access=USERS_MANAGE)
LIST_PERMISSIONS = Action("auth.list_permissions", Nothing, PermissionList, access=USERS_MANAGE, idempotent=True)
INVITE = Action("auth.invite", Invite, CreatedInvitation, access=USERS_MANAGE)
LIST_INVITATIONS = Action("auth.list_invitations", Nothing, InvitationList, access=USERS_MANAGE, idempotent=True)
DELETE_INVITATION = Action("auth.delete_invitation", InvitationRef, Nothing, access=USERS_MANAGE)
