"""Accounts, sessions, keys and roles, and the rules they obey. No I/O."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from fireside.contracts.auth import UserState
from fireside.contracts.permissions import PERMISSIONS, ROLE_DESCRIPTIONS, ROLES
from fireside.core.identity import Identity
from fireside.core.ids import ApiKeyId, SessionId, UserId, new_id
from fireside.services.auth.errors import (
    BeyondOwnRightsError,
    InvalidExpiryError,
    InvalidScopeError,
    UnknownPermissionError,
    WeakPasswordError,
)

UserKind = Literal["person", "local"]
TokenPurpose = Literal["setup", "invitation"]


@dataclass(frozen=True, slots=True)
class User:
    """An account. The `local` one stands for whoever runs the command line on this machine; it has no password."""

    id: UserId
    email: str
    name: str
    role: str
    state: UserState
    kind: UserKind
    created_at: datetime
    password_hash: str | None = field(default=None, repr=False)
    last_sign_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Somewhere a user is signed in. It ends by being deleted.

    Attributes:
        family_hash: Of the secret that all refresh tokens of the session share.
        refresh_hash: Of the one refresh token that works now.
        generation: How many refresh tokens came before it.
    """

    id: SessionId
    user_id: UserId
    family_hash: bytes = field(repr=False)
    refresh_hash: bytes = field(repr=False)
    generation: int
    address: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `scopes` of None follow the role of its user."""

    id: ApiKeyId
    user_id: UserId
    name: str
    prefix: str
    secret_hash: bytes = field(repr=False)
    scopes: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions."""

    id: UUID | None
    name: str
    description: str
    permissions: frozenset[str]

    @property
    def builtin(self) -> bool:
        """Whether it is one of the roles at start."""
        return self.id is None


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """A link that works once, for one purpose."""

    id: UUID
    purpose: TokenPurpose
    token_hash: bytes = field(repr=False)
    email: str
    role: str
    created_at: datetime
    expires_at: datetime


def person(*, email: str, name: str, role: str, password_hash: str, now: datetime) -> User:
    """A new account of a person. The address must be in its normal form."""
    return User(
        id=UserId(new_id()),
        email=email,
        name=name,
        role=role,
        state="active",
        kind="person",
        created_at=now,
        password_hash=password_hash,
    )


BUILT_IN_ROLES: dict[str, Role] = {
    name: Role(None, name, ROLE_DESCRIPTIONS[name], permissions) for name, permissions in ROLES.items()
}


def normal_email(email: str) -> str:
    """The one form of an address: case and composition of characters make no difference."""
    return unicodedata.normalize("NFC", email.strip()).casefold()


def normal_password(password: str) -> str:
    """The one form of a password, so that it can be typed on any keyboard (RFC 8265, OpaqueString)."""
    return unicodedata.normalize("NFC", password)


def check_password(password: str, *, email: str, min_chars: int) -> None:
    """Pass when a new password is good enough.

    Raises:
        WeakPasswordError: It is too short, one character repeated, or (part of) the address.
    """
    if len(password) < min_chars:
        raise WeakPasswordError(f"a password has at least {min_chars} characters", field="password")
    if len(set(password)) == 1:
        raise WeakPasswordError("one character repeated is no password", field="password")
    if password.casefold() in normal_email(email):
        raise WeakPasswordError("a password must not be part of the address", field="password")


def effective_permissions(role: Role | None, scopes: Iterable[str] | None) -> frozenset[str]:
    """What a credential allows now: what the role gives, as far as the key's scopes leave it. No role, nothing."""
    granted = role.permissions if role else frozenset[str]()
    return granted if scopes is None else granted & frozenset(scopes)


def check_scopes(scopes: Iterable[str], identity: Identity) -> tuple[str, ...]:
    """The scopes of a new key, in order; all that its maker holds when none are named.

    Raises:
        InvalidScopeError: The maker does not hold one of them.
    """
    wanted = frozenset(scopes)
    beyond = wanted - identity.permissions
    if beyond:
        raise InvalidScopeError(f"you do not hold {', '.join(sorted(beyond))}", field="scopes")
    return tuple(sorted(wanted or identity.permissions))


def check_expiry(expires_at: datetime | None, *, now: datetime) -> None:
    """Pass when a new key will work for a while.

    Raises:
        InvalidExpiryError: It would be expired from the start.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidExpiryError(field="expires_at")


def check_permissions(permissions: Iterable[str]) -> frozenset[str]:
    """The permissions of a new or changed role.

    Raises:
        UnknownPermissionError: One of them does not exist.
    """
    wanted = frozenset(permissions)
    unknown = sorted(wanted - PERMISSIONS.keys())
    if unknown:
        raise UnknownPermissionError(f"there is no permission {', '.join(unknown)}", field="permissions")
    return wanted


def require_covers(identity: Identity, permissions: frozenset[str]) -> None:
    """Pass when the identity holds all these permissions itself.

    Whoever manages users could otherwise make themselves, or a friend, an administrator.

    Raises:
        BeyondOwnRightsError: It does not.
    """
    beyond = permissions - identity.permissions
    if beyond and not identity.is_service:
        raise BeyondOwnRightsError(f"you do not hold {', '.join(sorted(beyond))} yourself")
