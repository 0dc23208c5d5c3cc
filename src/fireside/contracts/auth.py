"""What the auth service offers everyone: accounts, sessions, API keys, and telling who a credential stands for.

Passwords, tokens and keys travel in requests and, the one time they are shown, in responses; they are never part of a
fact or a signal, and their fields do not appear in the `repr` of a model. What administrators do with accounts stands
in `auth_admin`, what other services are told in `auth_facts`, permissions and roles in `permissions`.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN, Action, Contract, Nothing
from fireside.contracts.permissions import ACCOUNT_MANAGE, KEYS_MANAGE
from fireside.core.ids import ApiKeyId, SessionId, UserId

_ADDRESS = r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s.\x00-\x1f\x7f]+(\.[^@\s.\x00-\x1f\x7f]+)*$"
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
"""Text without control characters; databases differ in what they make of them."""

Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=_ADDRESS)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=ONE_LINE)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=256)]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
Registration = Literal["open", "invite", "closed"]
UserState = Literal["active", "locked"]


class Client(Contract):
    """Where a request came from, as the gateway saw it."""

    address: str = ""
    user_agent: str = ""
    browser: bool = False


class UserView(Contract):
    """An account, as its owner and administrators see it."""

    id: UserId
    email: str
    name: str
    role: str
    state: UserState = "active"
    created_at: datetime
    last_sign_in_at: datetime | None = None


class Profile(UserView):
    """Who is signed in, and what this credential allows."""

    permissions: tuple[str, ...]
    session_id: SessionId | None = None


class SetupState(Contract):
    """Whether the first administrator is still to be made, and who may register."""

    required: bool
    registration: Registration


class SetUp(Contract):
    """The first administrator, made with the one-time token of the set-up link."""

    token: Secret = Field(repr=False)
    email: Email
    password: Password = Field(repr=False)
    name: Name


class NewAccount(Contract):
    """A new account. `invitation` is the token of an invitation, needed where registration is by invitation."""

    email: Email
    password: Password = Field(repr=False)
    name: Name
    invitation: Secret | None = Field(default=None, repr=False)


class Register(NewAccount):
    """A new account, and where the request came from."""

    client: Client = Client()


class SignIn(Contract):
    """An address and its password, for a session."""

    email: str = Field(max_length=4_000, pattern=ONE_LINE)
    password: str = Field(max_length=4_000, repr=False)
    client: Client = Client()


class RefreshSession(Contract):
    """A refresh token, for the next pair of tokens."""

    refresh_token: str = Field(max_length=4_000, repr=False)
    client: Client = Client()


class Tokens(Contract):
    """A session's tokens. The refresh token works once; using it again ends the session."""

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_in_s: int
    refresh_expires_in_s: int
    session_id: SessionId


class SessionView(Contract):
    """Somewhere that its owner is signed in."""

    id: SessionId
    address: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool = False


class SessionList(Contract):
    """One's own sessions, last used first."""

    items: tuple[SessionView, ...]
    next_cursor: str | None = None


class SessionRef(Contract):
    """A session."""

    id: SessionId


class UpdateProfile(Contract):
    """What to change about oneself; None leaves it."""

    name: Name | None = None


class NewPassword(Contract):
    """One's present password and the next. Every other session ends."""

    current_password: str = Field(max_length=4_000, repr=False)
    new_password: Password = Field(repr=False)


class ChangePassword(NewPassword):
    """One's next password, and where the request came from."""

    client: Client = Client()


class CreateApiKey(Contract):
    """A key to make. `scopes` are permissions the maker holds; empty means all of them."""

    name: Name
    scopes: tuple[str, ...] = Field(default=(), max_length=100)
    expires_at: AwareDatetime | None = None


class ApiKeyView(Contract):
    """A key without its secret; `prefix` is how it begins. It stops working at `expires_at`."""

    id: ApiKeyId
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class CreatedApiKey(ApiKeyView):
    """A key just made, with its secret: shown this once."""

    key: str = Field(repr=False)


class ApiKeyList(Contract):
    """One's own keys, newest first."""

    items: tuple[ApiKeyView, ...]
    next_cursor: str | None = None


class ApiKeyRef(Contract):
    """An API key."""

    id: ApiKeyId


class Authenticate(Contract):
    """A credential as it was presented: an access token or an API key."""

    credential: str = Field(max_length=8_000, repr=False)


class Authenticated(Contract):
    """Whom a credential stands for, right now, and until when that can hold at most."""

    user_id: UserId
    name: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    session_id: SessionId | None = None
    api_key_id: ApiKeyId | None = None
    expires_at: datetime | None = None


class PublicKeys(Contract):
    """The keys that verify access tokens, as a JSON Web Key Set (RFC 7517), and who issues them for whom."""

    keys: tuple[dict[str, str], ...]
    issuer: str
    audience: str


SETUP_STATE = Action("auth.setup_state", Nothing, SetupState, access=PUBLIC, idempotent=True)
SET_UP = Action("auth.set_up", SetUp, UserView, access=PUBLIC)
REGISTER = Action("auth.register", Register, UserView, access=PUBLIC)
SIGN_IN = Action("auth.sign_in", SignIn, Tokens, access=PUBLIC)
REFRESH = Action("auth.refresh", RefreshSession, Tokens, access=PUBLIC)
SIGN_OUT = Action("auth.sign_out", Nothing, Nothing, access=SIGNED_IN, idempotent=True)
PUBLIC_KEYS = Action("auth.public_keys", Nothing, PublicKeys, access=PUBLIC, idempotent=True)
AUTHENTICATE = Action("auth.authenticate", Authenticate, Authenticated, access=INTERNAL, idempotent=True)
ME = Action("auth.me", Nothing, Profile, access=SIGNED_IN, idempotent=True)
UPDATE_ME = Action("auth.update_me", UpdateProfile, UserView, access=ACCOUNT_MANAGE, idempotent=True)
CHANGE_PASSWORD = Action("auth.change_password", ChangePassword, Nothing, access=ACCOUNT_MANAGE)
LIST_SESSIONS = Action("auth.list_sessions", Nothing, SessionList, access=ACCOUNT_MANAGE, idempotent=True)
REVOKE_SESSION = Action("auth.revoke_session", SessionRef, Nothing, access=ACCOUNT_MANAGE)
CREATE_API_KEY = Action("auth.create_api_key", CreateApiKey, CreatedApiKey, access=KEYS_MANAGE)
LIST_API_KEYS = Action("auth.list_api_keys", Nothing, ApiKeyList, access=KEYS_MANAGE, idempotent=True)
DELETE_API_KEY = Action("auth.delete_api_key", ApiKeyRef, Nothing, access=KEYS_MANAGE)
