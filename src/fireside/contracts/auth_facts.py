"""What the auth service tells the others: facts about accounts, sessions and keys; the signal to forget a caller."""

from typing import ClassVar, Literal
from uuid import UUID

from fireside.contracts.base import Event, Signal
from fireside.core.ids import ApiKeyId, SessionId, UserId


class AuthEvent(Event):
    """What the facts of this service have in common: whose account, and who did it (None: nobody signed in)."""

    user_id: UserId
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The account."""
        return self.user_id


class UserRegistered(AuthEvent):
    """An account came into being."""

    topic: ClassVar[str] = "auth.user_registered"
    role: str
    how: Literal["setup", "environment", "open", "invitation", "administrator", "local"]


class UserRoleChanged(AuthEvent):
    """An account has another role."""

    topic: ClassVar[str] = "auth.user_role_changed"
    before: str
    after: str


class UserLocked(AuthEvent):
    """An administrator locked an account."""

    topic: ClassVar[str] = "auth.user_locked"


class UserUnlocked(AuthEvent):
    """An administrator unlocked an account."""

    topic: ClassVar[str] = "auth.user_unlocked"


class UserDeleted(AuthEvent):
    """An account is gone, with its API keys; whatever it owned is to be erased."""

    topic: ClassVar[str] = "auth.user_deleted"
    api_key_ids: tuple[ApiKeyId, ...] = ()


class PasswordChanged(AuthEvent):
    """An account has another password."""

    topic: ClassVar[str] = "auth.password_changed"


class RegistrationRepeated(AuthEvent):
    """Someone tried to register an address that has an account. They were not told."""

    topic: ClassVar[str] = "auth.registration_repeated"
    address: str


class SignInsDelayed(Event):
    """Too many wrong passwords for an account, whether or not there is one; further attempts have to wait.

    `account` is a digest of the account's address, `address` where the latest attempt came from.
    """

    topic: ClassVar[str] = "auth.sign_ins_delayed"
    account: UUID
    user_id: UserId | None = None
    failures: int
    address: str

    @property
    def aggregate_id(self) -> UUID:
        """The account."""
        return self.account


class SessionStarted(AuthEvent):
    """Someone signed in."""

    topic: ClassVar[str] = "auth.session_started"
    session_id: SessionId
    address: str


class SessionRevoked(AuthEvent):
    """A session ended. `reuse` means that a refresh token was used twice."""

    topic: ClassVar[str] = "auth.session_revoked"
    session_id: SessionId
    reason: Literal["signed_out", "revoked", "reuse", "password_changed", "locked", "administrator"]


class ApiKeyCreated(AuthEvent):
    """An API key was made."""

    topic: ClassVar[str] = "auth.api_key_created"
    api_key_id: ApiKeyId
    scopes: tuple[str, ...]


class ApiKeyRevoked(AuthEvent):
    """An API key was deleted."""

    topic: ClassVar[str] = "auth.api_key_revoked"
    api_key_id: ApiKeyId


class UserInvited(Event):
    """An administrator invited someone."""

    topic: ClassVar[str] = "auth.user_invited"
    invitation_id: UUID
    role: str
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The invitation."""
        return self.invitation_id


class RoleDeleted(Event):
    """A role is gone."""

    topic: ClassVar[str] = "auth.role_deleted"
    id: UUID
    name: str
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The role."""
        return self.id


class RoleSaved(Event):
    """A role was made or changed."""

    topic: ClassVar[str] = "auth.role_saved"
    id: UUID
    name: str
    permissions: tuple[str, ...]
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The role."""
        return self.id


class IdentityChanged(Signal):
    """What is remembered about this user's credentials no longer holds; None means everyone's."""

    topic: ClassVar[str] = "auth.identity_changed"
    user_id: UserId | None = None
