"""Roles: those at start are fixed; administrators add, change and delete others."""

from uuid import UUID

from fireside.contracts.auth_admin import PermissionList, PermissionView, RoleList, RoleView, SaveRole
from fireside.contracts.auth_facts import RoleDeleted, RoleSaved
from fireside.contracts.permissions import PERMISSIONS
from fireside.core.ids import new_id
from fireside.runtime.context import Context
from fireside.services.auth.errors import BuiltInRoleError, RoleExistsError, RoleInUseError
from fireside.services.auth.model import Role, check_permissions, require_covers
from fireside.services.auth.repository import roles, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import role_view


class RoleBook:
    """Lists, makes, changes and deletes roles."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._changes = tools.database, tools.changes

    async def list_roles(self) -> RoleList:
        """Every role, in order of name."""
        async with self._database.read() as session:
            return RoleList(items=tuple(role_view(role) for role in await roles.list_all(session)))

    def list_permissions(self) -> PermissionList:
        """Every permission, in order of name."""
        shown = (PermissionView(name=name, description=PERMISSIONS[name]) for name in sorted(PERMISSIONS))
        return PermissionList(items=tuple(shown))

    async def create(self, context: Context, request: SaveRole) -> RoleView:
        """Make a role.

        Raises:
            RoleExistsError: There is one of this name.
            UnknownPermissionError: A permission does not exist.
            BeyondOwnRightsError: It allows what the caller may not do.
        """
        permissions = check_permissions(request.permissions)
        require_covers(context.identity, permissions)
        role_id = new_id()
        role = Role(role_id, request.name, request.description, permissions)
        async with self._database.transaction(context) as unit:
            if await roles.find(unit.session, request.name) is not None:
                raise RoleExistsError(field="name")
            await roles.add(unit.session, role)
            unit.emit(_saved(role_id, role, context))
        return role_view(role)

    async def update(self, context: Context, request: SaveRole) -> RoleView:
        """Change a role; whoever has it may do more or less from the next request on.

        Raises:
            RoleNotFoundError: There is no such role.
            BuiltInRoleError: It is one of those at start.
            UnknownPermissionError: A permission does not exist.
            BeyondOwnRightsError: It allowed or would allow what the caller may not do.
        """
        permissions = check_permissions(request.permissions)
        async with self._database.transaction(context) as unit:
            before = await roles.get(unit.session, request.name, lock=True)
            if before.id is None:
                raise BuiltInRoleError
            require_covers(context.identity, permissions | before.permissions)
            role = Role(before.id, before.name, request.description, permissions)
            await roles.change(unit.session, role)
            unit.emit(_saved(before.id, role, context))
        await self._changes.tell(context, None)
        return role_view(role)

    async def delete(self, context: Context, name: str) -> None:
        """Delete a role that nobody has.

        Raises:
            RoleNotFoundError: There is no such role.
            BuiltInRoleError: It is one of those at start.
            RoleInUseError: Someone has it.
            BeyondOwnRightsError: It allowed what the caller may not do.
        """
        async with self._database.transaction(context) as unit:
            role = await roles.get(unit.session, name, lock=True)
            if role.id is None:
                raise BuiltInRoleError
            require_covers(context.identity, role.permissions)
            if await users.any_with_role(unit.session, name):
                raise RoleInUseError
            await roles.remove(unit.session, role.id)
            unit.emit(RoleDeleted(id=role.id, name=name, by=context.identity.user_id))


def _saved(role_id: UUID, role: Role, context: Context) -> RoleSaved:
    permissions = tuple(sorted(role.permissions))
    return RoleSaved(id=role_id, name=role.name, permissions=permissions, by=context.identity.user_id)
