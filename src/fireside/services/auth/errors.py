"""What can go wrong with accounts, sessions and keys.

Errors of the token endpoint carry `error`, the code that OAuth 2.0 gives them (RFC 6749, 5.2).
"""

from fireside.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
)


class WrongCredentialsError(UnauthenticatedError):
    """The address or the password is wrong."""

    code = "wrong_credentials"


class AccountLockedError(ForbiddenError):
    """An administrator locked this account."""

    code = "account_locked"


class SignInsDelayedError(TooManyRequestsError):
    """Too many wrong passwords; wait before the next attempt."""

    code = "sign_ins_delayed"


class InvalidRefreshTokenError(UnauthenticatedError):
    """The refresh token does not work, or does no more; sign in again."""

    code = "invalid_refresh_token"


class UnsupportedGrantError(InvalidInputError):
    """The token endpoint does not know this grant type."""

    code = "unsupported_grant_type"
    status = 400


class IncompleteGrantError(InvalidInputError):
    """A field that the grant needs is missing."""

    code = "incomplete_grant"
    status = 400


class CrossSiteError(ForbiddenError):
    """Another site made the browser send this."""

    code = "cross_site"


class InvalidCredentialError(UnauthenticatedError):
    """The access token or API key does not work, or does no more."""

    code = "invalid_credential"


class InvalidOneTimeTokenError(ForbiddenError):
    """The link was used already, has expired, or never was one."""

    code = "invalid_link"


class RegistrationClosedError(ForbiddenError):
    """Accounts are made by administrators here."""

    code = "registration_closed"


class SetUpDoneError(ConflictError):
    """There is an administrator already."""

    code = "set_up_done"


class WeakPasswordError(InvalidInputError):
    """The password is too easy to guess."""

    code = "weak_password"


class InvalidScopeError(InvalidInputError):
    """A key cannot have a permission that its maker lacks."""

    code = "invalid_scope"


class InvalidExpiryError(InvalidInputError):
    """A key cannot expire in the past."""

    code = "invalid_expiry"


class TooManyKeysError(ConflictError):
    """The user has as many API keys as one may have."""

    code = "too_many_keys"


class NoSessionError(ConflictError):
    """An API key has no session to end; delete the key instead."""

    code = "no_session"


class EmailTakenError(ConflictError):
    """There is an account with this address already."""

    code = "email_taken"


class UserNotFoundError(NotFoundError):
    """There is no such user."""

    code = "user_not_found"


class SessionNotFoundError(NotFoundError):
    """There is no such session."""

    code = "session_not_found"


class ApiKeyNotFoundError(NotFoundError):
    """There is no such API key."""

    code = "api_key_not_found"


class InvitationNotFoundError(NotFoundError):
    """There is no such invitation."""

    code = "invitation_not_found"


class RoleNotFoundError(NotFoundError):
    """There is no such role."""

    code = "role_not_found"


class UnknownRoleError(InvalidInputError):
    """There is no such role."""

    code = "unknown_role"


class UnknownPermissionError(InvalidInputError):
    """There is no such permission."""

    code = "unknown_permission"


class RoleExistsError(ConflictError):
    """There is a role of this name already."""

    code = "role_exists"


class BuiltInRoleError(ConflictError):
    """The roles at start cannot be changed; make another one."""

    code = "built_in_role"


class RoleInUseError(ConflictError):
    """Users have this role; give them another one first."""

    code = "role_in_use"


class LastAdministratorError(ConflictError):
    """The last administrator has to stay one."""

    code = "last_administrator"


class BeyondOwnRightsError(ForbiddenError):
    """Nobody can give away, or rule over, more than they may do themselves."""

    code = "beyond_own_rights"


class InvalidCursorError(InvalidInputError):
    """The cursor is not one that an earlier page gave."""

    code = "invalid_cursor"
