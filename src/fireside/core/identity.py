"""Who is acting: the identity that travels with every call and that every service checks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from fireside.core.errors import ForbiddenError, UnauthenticatedError
from fireside.core.ids import ApiKeyId, UserId

IdentityKind = Literal["anonymous", "user", "service"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller after authentication.

    A `service` identity is a part of Fireside acting for itself, or for the user named in `user_id`; it may call
    internal actions. Permissions are `<service>:<verb>`; an API key carries only those its scopes leave, and
    `api_key_id` names it.
    """

    kind: IdentityKind
    name: str = ""
    user_id: UserId | None = None
    roles: frozenset[str] = field(default_factory=lambda: frozenset[str]())
    permissions: frozenset[str] = field(default_factory=lambda: frozenset[str]())
    session_id: UUID | None = None
    api_key_id: ApiKeyId | None = None
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out the hash once: each call to another node looks up what was signed for its identity."""
        who = (self.kind, self.name, self.user_id, self.session_id, self.api_key_id)
        object.__setattr__(self, "_hash", hash((*who, self.roles, self.permissions)))

    def __hash__(self) -> int:
        """The hash of all fields."""
        return self._hash

    @property
    def is_service(self) -> bool:
        """Whether this is a part of Fireside itself."""
        return self.kind == "service"

    def may(self, permission: str) -> bool:
        """Whether this identity holds the permission; services hold all."""
        return self.is_service or permission in self.permissions

    def require(self, permission: str) -> None:
        """Pass when the permission is held.

        Raises:
            UnauthenticatedError: Nobody is signed in.
            ForbiddenError: Someone is, without this permission.
        """
        if self.may(permission):
            return
        if self.kind == "anonymous":
            raise UnauthenticatedError("sign in first", permission=permission)
        raise ForbiddenError(f"this needs the permission {permission}", permission=permission)

    def require_user(self) -> UserId:
        """The user who acts, or on whose behalf a service acts.

        Raises:
            UnauthenticatedError: No user stands behind this identity.
        """
        if self.user_id is None:
            raise UnauthenticatedError("this needs a signed-in user")
        return self.user_id


ANONYMOUS = Identity(kind="anonymous")


def user_identity(
    user_id: UserId,
    *,
    roles: Iterable[str],
    permissions: Iterable[str],
    session_id: UUID | None = None,
    api_key_id: ApiKeyId | None = None,
) -> Identity:
    """The identity of a signed-in person."""
    return Identity(
        kind="user",
        user_id=user_id,
        roles=frozenset(roles),
        permissions=frozenset(permissions),
        session_id=session_id,
        api_key_id=api_key_id,
    )


def service_identity(name: str, *, on_behalf_of: Identity = ANONYMOUS) -> Identity:
    """The identity of a part of Fireside, keeping the user for whom it acts."""
    return Identity(
        kind="service",
        name=name,
        user_id=on_behalf_of.user_id,
        roles=on_behalf_of.roles,
        permissions=on_behalf_of.permissions,
        session_id=on_behalf_of.session_id,
        api_key_id=on_behalf_of.api_key_id,
    )
